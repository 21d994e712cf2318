// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

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
)

// seeding is what the sign-ins of a store belong to.
type seeding struct {
	issuer, resource string
	key              string // encryption_key of the site
	tokens           string // file to which the access tokens go, one on a line
	n                int
}

// atOnce is how many writes the store gets at a time: a store on disk joins them.
const atOnce = 64

// access is the life of seeded access tokens, longer than any run.
const access = 24 * time.Hour

// into signs people in without a browser and without a provider: it does to the store
// exactly what the token endpoint does, through the same code, one code and one grant for
// each person. Ten thousand sign-ins over HTTP would take minutes on each store and say
// nothing more about requests.
func (s seeding) into(ctx context.Context, st store.Store) error {
	master, err := seal.ParseMaster(s.key)
	if err != nil {
		return err
	}
	v := vault.New(vault.Config{
		Store: st, Issuer: s.issuer, Masters: []seal.Master{master}, Now: clock.System, Rand: rand.Reader,
		NewSigningKey: func(now time.Time) (seal.SigningKey, error) {
			return tokens.NewSigningKey(rand.Reader, tokens.RS256, now)
		},
	})
	g := grants.New(grants.Config{
		Vault: v, Site: seal.SiteOf(s.issuer), Now: clock.System, Rand: rand.Reader,
		Events: event.Discard{}, Changed: func(tokens.ID) {},
	})
	made := make([]string, s.n)
	var work errgroup.Group
	work.SetLimit(atOnce)
	for i := range made {
		work.Go(func() (err error) {
			made[i], err = s.signIn(ctx, g)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	if err := s.dropCodes(ctx, st); err != nil {
		return err
	}
	return os.WriteFile(s.tokens, []byte(strings.Join(made, "\n")+"\n"), 0o600)
}

// dropCodes removes the redeemed codes, which a server sweeps soon after their minute.
func (s seeding) dropCodes(ctx context.Context, st store.Store) error {
	q := store.Query{Site: seal.SiteOf(s.issuer).String(), Kind: "code", Limit: store.MaxLimit}
	var keys []store.Key
	for {
		page, err := st.List(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range page.Records {
			keys = append(keys, r.Key)
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	if len(keys) != s.n {
		return fmt.Errorf("there are %d codes of %d people", len(keys), s.n)
	}
	var work errgroup.Group
	work.SetLimit(atOnce)
	for _, k := range keys {
		work.Go(func() error { return st.Delete(ctx, k, store.Version{}) })
	}
	return work.Wait()
}

// terms are the parts of a configuration that a code is redeemed under.
func (s seeding) terms() grants.Terms {
	life := policy.DefaultLifetimes()
	life.Access = access
	return grants.Terms{Policy: &policy.Policy{
		Issuer: s.issuer, Lifetimes: life,
		Resources: []*policy.Resource{{URL: s.resource, Path: callPath, Scopes: oauth.Scopes{"mcp"}}},
	}}
}

// signIn is the end of one person's sign-in and returns the access token.
func (s seeding) signIn(ctx context.Context, g *grants.Service) (string, error) {
	verifier, err := pkce.NewVerifier(rand.Reader)
	if err != nil {
		return "", err
	}
	const client, redirect = "dcr_compare", "https://client.example/callback"
	object := rand.Text()
	code, err := g.IssueCode(ctx, grants.Request{
		Client: client, RedirectURI: redirect, Challenge: pkce.Challenge(verifier), Resource: s.resource, Scope: "mcp",
	}, &provider.Session{
		Person: provider.Person{
			Subject: "tenant." + object, Tenant: "tenant", ObjectID: object, Name: "Anna Admin",
			PreferredUsername: "anna@contoso.example", Email: "anna@contoso.example", EmailVerified: true, Roles: []string{"MCP.User"},
		},
		RefreshToken: secret.New(strings.Repeat("r", 900)),
	}, time.Minute)
	if err != nil {
		return "", err
	}
	uri := redirect
	out, err := g.Redeem(ctx, s.terms(), grants.Redemption{
		Client: client, Code: code.Reveal(), Verifier: verifier, RedirectURI: &uri, Resource: s.resource, Refreshable: true,
	})
	if err != nil {
		return "", err
	}
	return out.Access.Text().Reveal(), nil
}
