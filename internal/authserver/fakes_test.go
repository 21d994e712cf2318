// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

var errDown = errors.New("it is down: dial tcp 10.1.2.3:6379")

// fakeProvider signs in one person and remembers what it was asked.
type fakeProvider struct {
	mu                              sync.Mutex
	urlErr, exchangeErr, refreshErr error
	nobody                          bool
	urls                            []provider.AuthorizationRequest
	exchanges                       []provider.ExchangeRequest
	refreshes                       int
}

const idp = "https://login.example/authorize"

var alice = provider.Person{
	Subject: "tenant.alice", Name: "Alice", PreferredUsername: "alice@contoso.example",
	Email: "alice@contoso.example", EmailVerified: true, Roles: []string{"reader"},
}

func (*fakeProvider) Name() string { return "Microsoft" }

func (p *fakeProvider) AuthorizationURL(_ context.Context, r provider.AuthorizationRequest) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.urls = append(p.urls, r)
	if p.urlErr != nil {
		return "", p.urlErr
	}
	return idp + "?" + url.Values{
		"state": {r.State}, "nonce": {r.Nonce.Reveal()}, "code_challenge": {r.Challenge}, "redirect_uri": {r.RedirectURI},
	}.Encode(), nil
}

func (p *fakeProvider) Exchange(_ context.Context, r provider.ExchangeRequest) (*provider.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.exchanges = append(p.exchanges, r)
	if p.exchangeErr != nil {
		return nil, p.exchangeErr
	}
	if p.nobody {
		return &provider.Session{}, nil
	}
	return &provider.Session{Person: alice, RefreshToken: secret.New("upstream-0")}, nil
}

func (p *fakeProvider) Refresh(context.Context, secret.String) (*provider.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refreshErr != nil {
		return nil, p.refreshErr
	}
	p.refreshes++
	return &provider.Session{RefreshToken: secret.New("upstream-" + strconv.Itoa(p.refreshes))}, nil
}

func (*fakeProvider) Warm(context.Context) error { return nil }

func (p *fakeProvider) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.urls) + len(p.exchanges)
}

// fault is how a store fails: before an operation has effect or after.
type fault int

const (
	healthy fault = iota
	before
	after
)

// faulty counts what reaches the store, and fails as it is told.
type faulty struct {
	store.Store
	reads, writes atomic.Int64
	mode          atomic.Int64
	// op and kind choose what fails; empty means any. They are set while nothing runs.
	op   string
	kind store.Kind
}

// fail makes an operation on a kind fail until heal.
func (f *faulty) fail(mode fault, op string, kind store.Kind) {
	f.op, f.kind = op, kind
	f.mode.Store(int64(mode))
}

func (f *faulty) heal() { f.mode.Store(int64(healthy)) }

func (f *faulty) do(op string, kind store.Kind, call func() error) error {
	mode := fault(f.mode.Load())
	hit := mode != healthy && (f.op == "" || f.op == op) && (f.kind == "" || f.kind == kind)
	if hit && mode == before {
		return errDown
	}
	err := call()
	if hit {
		return errDown
	}
	return err
}

func (f *faulty) Get(ctx context.Context, k store.Key) (r store.Record, err error) {
	f.reads.Add(1)
	err = f.do("get", k.Kind, func() error { r, err = f.Store.Get(ctx, k); return err })
	return r, err
}

func (f *faulty) Create(ctx context.Context, r store.Record) error {
	f.writes.Add(1)
	return f.do("create", r.Kind, func() error { return f.Store.Create(ctx, r) })
}

func (f *faulty) Update(ctx context.Context, r store.Record, prev store.Version) error {
	f.writes.Add(1)
	return f.do("update", r.Kind, func() error { return f.Store.Update(ctx, r, prev) })
}

func (f *faulty) Delete(ctx context.Context, k store.Key, prev store.Version) error {
	f.writes.Add(1)
	return f.do("delete", k.Kind, func() error { return f.Store.Delete(ctx, k, prev) })
}

func (f *faulty) List(ctx context.Context, q store.Query) (p store.Page, err error) {
	f.reads.Add(1)
	err = f.do("list", q.Kind, func() error { p, err = f.Store.List(ctx, q); return err })
	return p, err
}

func (f *faulty) Sweep(ctx context.Context, t time.Time, limit int) (int, error) {
	f.writes.Add(1)
	return f.Store.Sweep(ctx, t, limit)
}
