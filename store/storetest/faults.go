// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"context"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// A store that cannot answer says so. A definite no would log people out.
var faultTests = []test{
	{"Fault/closed", func(b *bench) {
		r := b.created(1)
		b.wantErr(b.store.Close(), nil)
		for what, err := range b.each(b.ctx, r) {
			b.wantUnknown(what, err)
		}
	}},
	{"Fault/close twice", func(b *bench) {
		b.wantErr(b.store.Close(), nil)
		b.wantErr(b.store.Close(), nil)
	}},
	{"Fault/close under load", func(b *bench) {
		r := b.created(1)
		b.allNil(race(func(i int) error {
			if i == racers/2 {
				return b.store.Close()
			}
			if _, err := b.store.Get(b.ctx, r.Key); definite(err) {
				return err
			}
			if err := b.store.Create(b.ctx, b.record(i+2)); definite(err) {
				return err
			}
			return nil
		}))
	}},
	{"Fault/canceled context", func(b *bench) {
		r := b.created(1)
		ctx, cancel := context.WithCancel(b.ctx)
		cancel()
		for what, err := range b.each(ctx, r) {
			if err != nil {
				b.wantUnknown(what, err)
			}
		}
	}},
}

// each calls every method where a stored record r makes success the only right answer.
func (b *bench) each(ctx context.Context, r store.Record) map[string]error {
	_, get := b.store.Get(ctx, r.Key)
	_, list := b.store.List(ctx, store.Query{Site: r.Site, Kind: r.Kind})
	_, sweep := b.store.Sweep(ctx, b.clock.Now(), 10)
	return map[string]error{
		"Get":    get,
		"Create": b.store.Create(ctx, b.record(99)),
		"Update": b.store.Update(ctx, r, r.Version),
		"Delete": b.store.Delete(ctx, b.record(98).Key, store.Version{}),
		"List":   list,
		"Sweep":  sweep,
	}
}
