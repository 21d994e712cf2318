// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"
	"sync"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// patience bounds what comes from another process, far above what anything takes.
const patience = 30 * time.Second

var watchTests = []test{
	{"Watch/an update by another node", func(b *bench) {
		b.wantTold(func(r store.Record) store.Record {
			u := next(r, "other")
			b.wantErr(b.second.Update(b.ctx, u, r.Version), nil)
			return u
		})
	}},
	{"Watch/a deletion by another node", func(b *bench) {
		b.wantTold(func(r store.Record) store.Record {
			b.wantErr(b.second.Delete(b.ctx, r.Key, r.Version), nil)
			r = next(r, "again")
			b.create(r)
			return r
		})
	}},
	{"Watch/a keyring", func(b *bench) {
		told, _ := b.watch(b.ctx)
		b.await(told)
		r := b.record(78)
		r.Kind = "keyring"
		b.create(r)
		b.wantErr(b.second.Update(b.ctx, next(r, "rotated"), r.Version), nil)
		for receive(b, told) != r.Key {
		}
	}},
	{"Watch/ends with its context", func(b *bench) {
		ctx, cancel := context.WithCancel(b.ctx)
		told, ended := b.watch(ctx)
		b.await(told)
		cancel()
		if err := receive(b, ended); err == nil || ctx.Err() == nil {
			b.Errorf("Watch returned %v", err)
		}
	}},
	{"Watch/ends with its store", func(b *bench) {
		told, ended := b.watch(b.ctx)
		b.await(told)
		b.wantErr(b.store.Close(), nil)
		b.wantUnknown("Watch", receive(b, ended))
	}},
	{"Watch/of a closed store", func(b *bench) {
		b.wantErr(b.store.Close(), nil)
		_, ended := b.watch(b.ctx)
		b.wantUnknown("Watch", receive(b, ended))
	}},
	{"Watch/two at once", func(b *bench) {
		first, _ := b.watch(b.ctx)
		second, _ := b.watch(b.ctx)
		r := b.await(first)
		for key := range second {
			if key == r.Key {
				return
			}
			b.change(r)
		}
	}},
}

// watch watches through the first handle. Keys that nobody receives in time are lost.
func (b *bench) watch(ctx context.Context) (told chan store.Key, ended chan error) {
	told, ended = make(chan store.Key, 1000), make(chan error, 1)
	w := b.store.(store.Watcher)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		ended <- w.Watch(ctx, func(k store.Key) {
			select {
			case told <- k:
			default:
			}
		})
	})
	b.Cleanup(func() { cancel(); running.Wait() })
	return told, ended
}

// change changes a record through the other handle, whatever its version.
func (b *bench) change(r store.Record) {
	b.Helper()
	seen, err := b.second.Get(b.ctx, r.Key)
	b.wantErr(err, nil)
	b.wantErr(b.second.Update(b.ctx, next(seen, "changed"), seen.Version), nil)
}

// await returns once the watch tells of changes, and which record it told of. A watch
// needs a while to begin, so the record is changed until one of the changes is told.
func (b *bench) await(told <-chan store.Key) store.Record {
	b.Helper()
	r := b.created(77)
	deadline, again := time.After(patience), time.NewTicker(10*time.Millisecond)
	defer again.Stop()
	for {
		select {
		case k := <-told:
			if k == r.Key {
				return r
			}
		case <-again.C:
			b.change(r)
		case <-deadline:
			b.Fatal("the watch never told of a change")
		}
	}
}

// wantTold checks that each change is told once the watch has begun. change returns the
// record as it is afterwards.
func (b *bench) wantTold(change func(store.Record) store.Record) {
	b.Helper()
	told, _ := b.watch(b.ctx)
	b.await(told)
	for n := range 5 {
		r := b.created(n)
		for range 3 {
			r = change(r)
			for receive(b, told) != r.Key {
			}
		}
	}
}

// receive returns the next value of c, and fails the test where none comes.
func receive[T any](b *bench, c <-chan T) (v T) {
	b.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		b.Fatal("nothing came")
	}
	return v
}
