// SPDX-License-Identifier: Apache-2.0

// Package audit writes what happened into the audit trail of a store. Whoever emits an
// event never waits: entries pass through a bounded queue, and what does not fit, because
// the store is slow or gone, is counted and said in the log.
package audit

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Config is what a Trail needs; all fields but those with a default are required.
type Config struct {
	Auditor store.Auditor
	// Site is the store.Key.Site of the issuer.
	Site string
	Now  clock.Func
	Rand io.Reader
	Log  *slog.Logger
	// Queue is how many entries may wait. Default 10,000.
	Queue int
}

const (
	defaultQueue = 10_000
	// batch is how many entries are written at once at most.
	batch = 200
	// gather is how long the first entry of a batch waits for others.
	gather = 200 * time.Millisecond
	// The pause after a failed write: doubling from the first to the last.
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second
	// reportEvery is how often the log says how many entries were dropped, at most.
	reportEvery = time.Minute
)

// Trail is an event.Sink over the audit trail of a store.
type Trail struct {
	config Config
	// queue is of pointers: a store that keeps no trail pays little for it.
	queue chan *store.AuditEntry

	start   sync.Once
	stop    chan struct{}
	stopped chan struct{}
	closing sync.Once

	// off is set once the store says that it keeps no trail.
	off     atomic.Bool
	dropped atomic.Int64
	total   atomic.Int64
}

// New returns a Trail. Nothing runs before the first event.
func New(c Config) *Trail {
	if c.Queue <= 0 {
		c.Queue = defaultQueue
	}
	return &Trail{
		config: c, queue: make(chan *store.AuditEntry, c.Queue),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
}

// kept are the events that belong into the trail. What a stranger can provoke without end
// stays out: he could fill the database.
var kept = map[event.Kind]bool{
	event.ClientRegistered: true, event.LoginStarted: true, event.LoginDenied: true, event.LoginFailed: true,
	event.BrowserMismatch: true, event.CodeIssued: true, event.CodeRedeemed: true, event.CodeReplayed: true,
	event.Refreshed: true, event.RefreshRefused: true, event.RefreshReuse: true, event.GrantEnded: true, event.TokenUsed: true,
	event.TokenRevoked: true, event.RevocationBegun: true,
	event.RecordTampered: true, event.KeyringRotated: true, event.BackendRefused: true, event.ProviderUnsettled: true,
	event.AccountVerified: true,
}

// lastRotation is the mode of the entry that says who made the last rotation before an old
// token was shown.
const lastRotation = "last_rotation"

// Emit implements event.Sink. The reuse of a refresh token becomes two entries, since an
// entry has one address: who showed it, and who made the last rotation.
func (t *Trail) Emit(_ context.Context, e event.Event) {
	if !kept[e.Kind] || t.off.Load() {
		return
	}
	t.put(e)
	if e.LastAddress != "" || e.LastAgent != "" {
		e.Mode, e.Address, e.Agent = lastRotation, e.LastAddress, e.LastAgent
		t.put(e)
	}
}

func (t *Trail) put(e event.Event) {
	t.start.Do(func() { go t.run() })
	select {
	case <-t.stop:
		t.drop(1)
		return
	default:
	}
	select {
	case t.queue <- t.entry(e):
	default:
		t.drop(1)
	}
}

// entry is an event as the store keeps it.
func (t *Trail) entry(e event.Event) *store.AuditEntry {
	now := t.config.Now()
	return &store.AuditEntry{
		ID: t.id(now), Time: now.UTC().Truncate(time.Millisecond), Event: string(e.Kind), Mode: e.Mode, Site: t.config.Site,
		Person: e.Person, Client: e.Client, Grant: e.Grant, Token: e.Token, Resource: e.Resource,
		Address: e.Address, Agent: e.Agent, Ref: e.Ref,
	}
}

// id makes an id that begins with the time, so that a database appends to its index
// instead of writing all over it.
func (t *Trail) id(now time.Time) string {
	var b [18]byte
	binary.BigEndian.PutUint64(b[:8], uint64(now.UnixMilli()))
	// Where no randomness comes, the time alone has to do: an entry less.
	_, _ = io.ReadFull(t.config.Rand, b[8:])
	return hex.EncodeToString(b[2:])
}

func (t *Trail) drop(n int) {
	t.dropped.Add(int64(n))
	t.total.Add(int64(n))
}

// Dropped is how many entries were lost so far.
func (t *Trail) Dropped() int64 { return t.total.Load() }

// Close ends the Trail: it writes what is in the queue, as long as ctx and the store
// allow, and drops the rest.
func (t *Trail) Close(ctx context.Context) {
	t.closing.Do(func() { close(t.stop) })
	idle := false
	t.start.Do(func() { idle = true })
	if idle {
		return
	}
	select {
	case <-t.stopped:
	case <-ctx.Done():
	}
}

// run writes until the Trail ends. A panic here would end the whole server.
func (t *Trail) run() {
	defer close(t.stopped)
	defer t.report()
	defer func() {
		if p := recover(); p != nil {
			t.off.Store(true)
			t.config.Log.Error("the audit trail has ended", "panic", p)
		}
	}()
	report := time.NewTicker(reportEvery)
	defer report.Stop()
	for !t.off.Load() {
		select {
		case first := <-t.queue:
			t.write(t.collect(*first), report.C)
		case <-report.C:
			t.report()
		case <-t.stop:
			t.flush()
			return
		}
	}
}

// collect returns a batch that begins with first.
func (t *Trail) collect(first store.AuditEntry) []store.AuditEntry {
	entries := []store.AuditEntry{first}
	wait := time.NewTimer(gather)
	defer wait.Stop()
	for len(entries) < batch {
		select {
		case e := <-t.queue:
			entries = append(entries, *e)
		case <-wait.C:
			return entries
		case <-t.stop:
			return entries
		}
	}
	return entries
}

// write writes a batch, again and again until it is there or the Trail ends.
func (t *Trail) write(entries []store.AuditEntry, report <-chan time.Time) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := t.config.Auditor.Append(context.Background(), entries)
		switch {
		case err == nil:
			return
		case errors.Is(err, errors.ErrUnsupported):
			t.off.Store(true)
			return
		}
		again := time.NewTimer(pause)
		for waiting := true; waiting; {
			select {
			case <-again.C:
				waiting = false
			case <-report:
				t.report()
			case <-t.stop:
				again.Stop()
				t.last(entries)
				return
			}
		}
	}
}

// flush writes what is still in the queue.
func (t *Trail) flush() {
	for {
		var entries []store.AuditEntry
		for len(entries) < batch && len(t.queue) > 0 {
			entries = append(entries, *<-t.queue)
		}
		if len(entries) == 0 {
			return
		}
		if !t.last(entries) {
			t.drop(len(t.queue))
			return
		}
	}
}

// last writes a batch for which there is no second try, and tells whether that worked.
func (t *Trail) last(entries []store.AuditEntry) bool {
	err := t.config.Auditor.Append(context.Background(), entries)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.drop(len(entries))
	}
	return err == nil
}

// report says in the log what was lost since it last did.
func (t *Trail) report() {
	if n := t.dropped.Swap(0); n > 0 {
		t.config.Log.Warn("entries of the audit trail were lost, since the store was too slow or gone", "entries", n)
	}
}
