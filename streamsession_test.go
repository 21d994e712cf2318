// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// counted is a store that counts how often a grant is read.
type counted struct {
	store.Store
	reads *atomic.Int64
}

func (c counted) Get(ctx context.Context, k store.Key) (store.Record, error) {
	if k.Kind == "grant" {
		c.reads.Add(1)
	}
	return c.Store.Get(ctx, k)
}

// streaming is a site over a real store, with a person who is signed in.
type streaming struct {
	*site
	sv     *services
	target *guard.Target
	token  string
	grant  *grants.Issued
	reads  atomic.Int64 // of grants
}

func newStreaming(t *testing.T, change func(*policy.Policy)) *streaming {
	t.Helper()
	res := &policy.Resource{URL: "https://fake.example.com/mcp", Origin: "https://fake.example.com", Path: "/mcp", Scopes: oauth.Scopes{"mcp"}}
	p := &policy.Policy{Resources: []*policy.Resource{res}, Streams: policy.DefaultStreams(), Lifetimes: policy.DefaultLifetimes()}
	change(p)
	s := &streaming{target: guard.NewTarget(p, res)}
	s.site = siteOver(t, &fakeStore{wrap: func(inner store.Store) store.Store { return counted{inner, &s.reads} }})
	var err error
	if s.sv, err = s.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.services.Store(s.sv)
	s.attend(s.sv)
	g, uri, verifier := s.sv.state.Grants, "https://client.example.com/cb", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	request := grants.Request{Client: "dcr_x", RedirectURI: uri, Challenge: pkce.Challenge(verifier), Resource: res.URL, Scope: "mcp"}
	code, err := g.IssueCode(t.Context(), request, &provider.Session{Person: provider.Person{Subject: "jane"}}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	s.grant, err = g.Redeem(t.Context(), grants.Terms{Policy: p}, grants.Redemption{
		Client: "dcr_x", Code: code.Reveal(), Verifier: verifier, RedirectURI: &uri, Resource: res.URL, Refreshable: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.token = s.grant.Access.Text().Reveal()
	return s
}

// open answers a request with an event stream and returns the context of the next handler.
func (s *streaming) open(t *testing.T) context.Context {
	t.Helper()
	r := prepared(http.MethodPost, s.target.Resource.URL, "Authorization", "Bearer "+s.token, "Accept", "text/event-stream")
	pass, err := s.sv.guard.Admit(r.Context(), guard.Request{HTTP: r, Target: s.target, Began: clock.System()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pass.Close)
	w, gr := pass.Wrap(httptest.NewRecorder(), r, newRef)
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	return gr.Context()
}

func (s *streaming) end() {
	s.start.Do(func() { close(s.done) })
	_ = s.Destruct()
}

// However many streams a session has open, each round reads its grant once.
func TestOneReadForAllStreamsOfASession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStreaming(t, func(p *policy.Policy) { p.Streams.PerSession = 100 })
		defer s.end()
		var last context.Context
		for range 100 {
			last = s.open(t)
		}
		s.reads.Store(0)
		for round := range int64(3) {
			<-time.After(recheckEvery)
			synctest.Wait()
			if n := s.reads.Load(); n != round+1 {
				t.Errorf("%d reads in %d rounds", n, round+1)
			}
		}
		if n := s.sv.guard.Streams().Total(); n != 100 || last.Err() != nil {
			t.Errorf("%d streams, %v", n, last.Err())
		}
	})
}

// A stream outlives its access token and not its session, whichever way that ends: after
// its absolute life, after its life without a refresh, or by a revocation on a node that
// cannot tell.
func TestStreamsEndWithTheSession(t *testing.T) {
	t.Parallel()
	lives := func(access, idle, absolute time.Duration) func(*policy.Policy) {
		return func(p *policy.Policy) {
			p.Lifetimes.Access, p.Lifetimes.RefreshIdle, p.Lifetimes.Refresh = access, idle, absolute
			p.Streams.MaxAge = 24 * time.Hour
		}
	}
	for name, tt := range map[string]struct {
		change func(*policy.Policy)
		end    time.Duration
		before func(*streaming, *testing.T)
	}{
		"absolute life": {lives(time.Minute, 20*time.Minute, 10*time.Minute), 10 * time.Minute, nil},
		"idle":          {lives(time.Minute, 20*time.Minute, time.Hour), 20 * time.Minute, nil},
		"revoked": {lives(time.Minute, 20*time.Minute, time.Hour), 5 * time.Minute, func(s *streaming, t *testing.T) {
			other := siteOver(t, s.store.opener.(*fakeStore))
			other.store = s.store // as another node would reach the same records
			sv, err := other.build(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := sv.state.Grants.End(t.Context(), s.grant.Grant, "test"); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStreaming(t, tt.change)
				defer s.end()
				open := s.open(t)
				<-time.After(tt.end - time.Second)
				synctest.Wait()
				if open.Err() != nil {
					t.Fatal("the stream ended with its token")
				}
				if tt.before != nil {
					tt.before(s, t)
				}
				<-time.After(time.Second + recheckEvery)
				synctest.Wait()
				if open.Err() == nil {
					t.Error("the stream outlives its session")
				}
			})
		})
	}
}
