// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/file"
)

// The child that signs people in, and where it kills itself: at which of the points
// before and after every write, counted from 1.
const (
	childLogins    = "MCPOAUTH_TEST_LOGINS"
	childFailpoint = "MCPOAUTH_TEST_FAILPOINT"
)

const (
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	client   = "dcr_client"
	callback = "https://client.example/cb"
	resource = "https://mcp.example.com/mcp"
	issuer   = "https://mcp.example.com/oauth"
)

// onlyPerson is a provider that always says yes.
type onlyPerson struct{ provider.Provider }

var ada = provider.Person{Subject: "tid.oid", ObjectID: "oid", Name: "Ada"}

func (onlyPerson) Refresh(context.Context, secret.String) (*provider.Session, error) {
	return &provider.Session{Person: ada, RefreshToken: secret.New("upstream")}, nil
}

var terms = grants.Terms{
	Provider: onlyPerson{},
	Policy: &policy.Policy{
		Issuer: issuer, Lifetimes: policy.DefaultLifetimes(),
		Resources: []*policy.Resource{{URL: resource, Path: "/mcp", Scopes: oauth.Scopes{"mcp"}}},
	},
}

// service is the real life cycle of sign-ins over a store, under a key that all
// processes of a test know.
func service(s store.Store, now clock.Func) (*grants.Service, error) {
	master, err := seal.NewMaster(make([]byte, seal.KeySize))
	if err != nil {
		return nil, err
	}
	v := vault.New(vault.Config{
		Store: s, Issuer: issuer, Masters: []seal.Master{master}, Now: now, Rand: rand.Reader,
		NewSigningKey: func(now time.Time) (seal.SigningKey, error) { return tokens.NewSigningKey(rand.Reader, "ES256", now) },
	})
	return grants.New(grants.Config{
		Vault: v, Site: seal.SiteOf(issuer), Now: now, Rand: rand.Reader, Events: event.Discard{},
		Changed: func(tokens.ID) {},
	}), nil
}

// suicidal is a store at whose failpoints the process may end.
type suicidal struct {
	store.Store
	at     int64
	passed atomic.Int64
}

func (s *suicidal) point() {
	if s.passed.Add(1) == s.at {
		p, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = p.Kill()
		}
		if err != nil {
			fail(err)
		}
		select {}
	}
}

func (s *suicidal) Create(ctx context.Context, r store.Record) error {
	s.point()
	defer s.point()
	return s.Store.Create(ctx, r)
}

func (s *suicidal) Update(ctx context.Context, r store.Record, prev store.Version) error {
	s.point()
	defer s.point()
	return s.Store.Update(ctx, r, prev)
}

// signInForever signs people in as clients, one after the other, and prints what each
// client has got. With a failpoint there is one client.
func signInForever(path, failpoint string) error {
	f, err := file.Open(path, env())
	if err != nil {
		return err
	}
	s := &suicidal{Store: f}
	clients := killWriters
	if failpoint != "" {
		clients = 1
		if s.at, err = strconv.ParseInt(failpoint, 10, 64); err != nil {
			return err
		}
		f.AtCommit(s.point)
	}
	g, err := service(s, clock.System)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for {
				if err := signIn(g); err != nil {
					fail(err)
				}
			}
		})
	}
	wg.Wait()
	return nil
}

func signIn(g *grants.Service) error {
	ctx := context.Background()
	var tid [16]byte
	_, _ = rand.Read(tid[:])
	if _, err := g.StartLogin(ctx, tid, grants.Login{Binding: tid[:]}); err != nil {
		return fmt.Errorf("login: %w", err)
	}
	if _, err := g.TakeLogin(ctx, tid, tid[:]); err != nil {
		return fmt.Errorf("end of login: %w", err)
	}
	r := grants.Request{Client: client, RedirectURI: callback, Challenge: pkce.Challenge(verifier), Resource: resource, Scope: "mcp"}
	code, err := g.IssueCode(ctx, r, &provider.Session{Person: ada, RefreshToken: secret.New("upstream")}, time.Minute)
	if err != nil {
		return fmt.Errorf("code: %w", err)
	}
	fmt.Println("code", code.Reveal(), "-", "-")
	got, err := redeem(g, code.Reveal())
	if err != nil {
		return fmt.Errorf("redeem: %w", err)
	}
	fmt.Println("redeemed", code.Reveal(), got.Access.Text().Reveal(), got.Refresh.Text().Reveal())
	if got, err = refresh(g, got.Refresh.Text().Reveal()); err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	fmt.Println("refreshed", code.Reveal(), got.Access.Text().Reveal(), got.Refresh.Text().Reveal())
	return nil
}

func redeem(g *grants.Service, code string) (*grants.Issued, error) {
	uri := callback
	return g.Redeem(context.Background(), terms, grants.Redemption{
		Client: client, Code: code, Verifier: verifier, RedirectURI: &uri, Resource: resource, Refreshable: true,
	})
}

func refresh(g *grants.Service, token string) (*grants.Issued, error) {
	return g.Refresh(context.Background(), terms, grants.Refreshing{Client: client, Token: token})
}

// refused tells whether an error is a definite no.
func refused(err error) bool {
	return errors.Is(err, oauth.New(oauth.InvalidGrant, "")) || errors.Is(err, oauth.New(oauth.InvalidToken, ""))
}
