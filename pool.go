// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/lazystore"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// The pools outlive a configuration: a reload finds its sites and stores in them, with
// everything that is in memory, and two configurations never open one file twice.
var (
	sitePool  = caddy.NewUsagePool()
	storePool = caddy.NewUsagePool()
)

// masterKeyer is a store module that brings its own master key, for configurations
// without encryption_key. open returns the store that it opened, or opens it. A store that several machines share must not be one.
type masterKeyer interface {
	MasterKey(ctx context.Context, open func(context.Context) (store.Store, error), env store.Env) ([]byte, error)
}

// pooledStore is one store handle, shared by everyone whose configuration means the same
// data. It opens at first use.
type pooledStore struct {
	*lazystore.Store
	opener store.Opener
	env    store.Env

	mu     sync.Mutex
	master *seal.Master
}

// storeIdentity is the key of the pool: kind of store and identity of its data.
func storeIdentity(o store.Opener) string { return fmt.Sprintf("%T %s", o, o.Identity()) }

func newPooledStore(o store.Opener, log *slog.Logger) *pooledStore {
	env := store.Env{Now: clock.System, Rand: rand.Reader, Log: log}
	return &pooledStore{Store: lazystore.New(o, env, lazystore.Options{}), opener: o, env: env}
}

// masterKey returns the store's own master key, made once.
func (p *pooledStore) masterKey(ctx context.Context) (seal.Master, error) {
	return p.key(ctx, p.env.Rand)
}

// key is masterKey with the randomness of which a new key is made.
func (p *pooledStore) key(ctx context.Context, random io.Reader) (seal.Master, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.master != nil {
		return *p.master, nil
	}
	env := p.env
	env.Rand = random
	raw, err := p.opener.(masterKeyer).MasterKey(ctx, p.Backend, env)
	if err != nil {
		return seal.Master{}, err
	}
	m, err := seal.NewMaster(raw)
	if err != nil {
		return seal.Master{}, err
	}
	p.master = &m
	return m, nil
}

// Destruct implements caddy.Destructor.
func (p *pooledStore) Destruct() error { return p.Close() }
