// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/audit"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/authserver"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// siteKey names a site: handlers whose configurations agree on it share everything.
type siteKey struct {
	issuer string
	store  string
	// keys is the fingerprint of the configured master keys; "" means the store's own.
	keys string
}

// site is the state of one issuer. It belongs to no configuration: handlers come and go
// with reloads, the site stays as long as one of them holds it.
type site struct {
	key   siteKey
	store *pooledStore
	sink  event.Sink
	trail *audit.Trail
	log   *slog.Logger

	// masters are the configured master keys in their order; empty: the store's own.
	masters atomic.Pointer[[]seal.Master]
	// alg is the configured algorithm of new signing keys.
	alg atomic.Pointer[string]
	// current is what background work goes by: the handler whose configuration started
	// last and still runs. It is nil before the first has started.
	current atomic.Pointer[instance]

	opening  singleflight.Group
	services atomic.Pointer[services]

	mu        sync.Mutex
	providers map[string]*sharedProvider
	running   []*instance // started and not cleaned up, the latest last

	// uses are the requests that need the site now; it outlives its handlers by them.
	uses lease

	ctx    context.Context
	cancel context.CancelFunc
	wake   chan struct{}
	start  sync.Once
	done   chan struct{}
	// attendants are the goroutines that attend calls.
	attendants sync.WaitGroup
}

// services are the parts of a site that need its keys.
type services struct {
	vault *vault.Vault
	state authserver.State
	guard *guard.Guard
	// keysChanged says that another node has written the keyring.
	keysChanged chan struct{}
}

const (
	// openPatience is how long a request waits for the services. Only a disk that hangs
	// takes longer.
	openPatience = 2 * time.Second
	// endPatience is how long the end of a site holds up a reload. Store calls are bounded
	// by about as much.
	endPatience = 2 * time.Second
)

// newSite returns a site that has opened nothing.
func newSite(key siteKey, s *pooledStore, masters []seal.Master, alg string) *site {
	st := &site{
		key: key, store: s, log: liveLog.With("issuer", key.issuer),
		providers: map[string]*sharedProvider{}, wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	st.sink = st.sinks()
	st.masters.Store(&masters)
	st.alg.Store(&alg)
	st.uses.release = st.end
	st.ctx, st.cancel = context.WithCancel(context.Background())
	return st
}

// sinks are where the events of the site go: the log, the audit trail, which turns itself
// off where the store keeps none, and the metrics.
func (s *site) sinks() event.Sinks {
	s.trail = audit.New(audit.Config{
		Auditor: s.store, Site: seal.SiteOf(s.key.issuer).String(), Now: clock.System, Rand: rand.Reader, Log: s.log,
	})
	return event.Sinks{logSink{s.log, new(sampler)}, s.trail, eventCounter{}}
}

// open returns the services. The first caller makes them, others wait for it, and a
// failure is forgotten, so that the next caller tries again. A caller that leaves takes
// nothing away from the others.
func (s *site) open(ctx context.Context) (*services, error) {
	if sv := s.services.Load(); sv != nil {
		return sv, nil
	}
	ch := s.opening.DoChan("", func() (any, error) {
		if sv := s.services.Load(); sv != nil {
			return sv, nil
		}
		sv, err := s.build(s.ctx)
		if err == nil {
			s.services.Store(sv)
			s.attend(sv)
			// A configuration that started meanwhile had nothing to give its keys to.
			s.useMasters()
		}
		return sv, err
	})
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	select {
	case res := <-ch:
		if res.Err != nil {
			return nil, res.Err
		}
		return res.Val.(*services), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the keys of the site: %w", ctx.Err())
	}
}

// build makes the services. It runs in a goroutine of its own, where a panic would end
// the whole server instead of one request.
func (s *site) build(ctx context.Context) (sv *services, err error) {
	defer recoverAs(&err)
	masters := *s.masters.Load()
	if len(masters) == 0 {
		m, err := s.store.masterKey(ctx)
		if err != nil {
			return nil, err
		}
		masters = []seal.Master{m}
	}
	random := rand.Reader
	sv = &services{keysChanged: make(chan struct{}, 1)}
	config := s.vaultConfig(masters)
	// What was signed by a key that is gone is made anew.
	config.Dropped = func() { sv.guard.ChangedAll() }
	v := vault.New(config)
	sv.vault = v
	g := grants.New(grants.Config{
		Vault: v, Site: seal.SiteOf(s.key.issuer), Now: clock.System, Rand: random, Events: s.sink,
		Changed: func(id tokens.ID) { sv.guard.Changed(grants.RecordID(id)) }, Hold: s.hold,
	})
	m := &minter{vault: v, now: clock.System, rand: random, log: s.log}
	sv.guard = guard.New(guard.Config{
		Grants: lookup{g}, Mint: m.mint, Verifier: verifier{g, s.terms}, Now: clock.System, Events: s.sink, Stats: &guardStats,
	})
	sv.state = authserver.State{
		Vault: v, Grants: g, Limits: authserver.NewLimits(clock.System),
		Clients: clients.New(clients.Config{Vault: v, Rand: random, Now: clock.System, Events: s.sink}),
	}
	return sv, nil
}

// state is what the authorization server's endpoints work with.
func (s *site) state(ctx context.Context) (*authserver.State, error) {
	sv, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	return &sv.state, nil
}

func recoverAs(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}

// Destruct implements caddy.Destructor: no handler holds the site any more. Its streams
// end, since they cannot be revoked without it. Requests that use it may finish first.
func (s *site) Destruct() error {
	s.cancel()
	s.start.Do(func() { close(s.done) })
	s.endStreams()
	s.uses.close()
	return nil
}

func (s *site) endStreams() {
	if sv := s.services.Load(); sv != nil {
		sv.guard.Streams().EndAll()
	}
}

// end gives the store back. A store that hangs keeps that work waiting, but not the
// caller, who may be a reload.
func (s *site) end() {
	s.endStreams()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-s.done
		s.attendants.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), endPatience/2)
		defer cancel()
		s.trail.Close(ctx)
		if _, err := storePool.Delete(s.key.store); err != nil {
			s.log.Error("closing the store failed", "error", err)
		}
	}()
	patience := time.NewTimer(endPatience)
	defer patience.Stop()
	select {
	case <-ended:
	case <-patience.C:
		s.log.Warn("the store is still busy and is closed later")
	}
}
