// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/transfer"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/file"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
)

// fixture is a store that some version has written, with what clients hold of it; see
// testdata/store/README.md.
type fixture struct {
	Made                             int64
	Issuer, Resource, Client, Person string
	Fresh, Rotated, Before, Ended    struct{ Access, Refresh string }
	Code, Spent                      struct{ Code, Verifier, Redirect string }
	Records                          map[string]int

	clock  *clock.Fake
	master seal.Master
	asked  []string // which refresh tokens of the provider were used
}

// What any version has written, this one opens: nobody is logged out by an upgrade.
func TestStoreFixtures(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob(filepath.Join("testdata", "store", "*", "tokens.json"))
	if err != nil || len(folders) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, path := range folders {
		folder := filepath.Dir(path)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			f, st := openFixture(t, folder)
			f.checkRecords(t, st)
			moved := f.move(t, st)
			f.use(t, st)
			f.use(t, moved) // an export of it is as good as the store
		})
	}
}

// openFixture opens a copy of a fixture, half a minute after it was made.
func openFixture(t *testing.T, folder string) (*fixture, store.Store) {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	f := new(fixture)
	if err := json.Unmarshal(read("tokens.json"), f); err != nil {
		t.Fatal(err)
	}
	f.clock = clock.NewFake(time.Unix(f.Made, 0).Add(30 * time.Second))
	path := filepath.Join(t.TempDir(), "records.db")
	for name, to := range map[string]string{"records.db": path, "records.db.key": path + ".key"} {
		if err := os.WriteFile(to, read(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	st, err := file.Open(path, f.env())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	key, err := st.MasterKey(t.Context(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if f.master, err = seal.ParseMaster(base64.StdEncoding.EncodeToString(key)); err != nil {
		t.Fatal(err)
	}
	return f, st
}

func (f *fixture) env() store.Env {
	return store.Env{Now: f.clock.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)}
}

func (f *fixture) vault(st store.Store) *vault.Vault {
	return vault.New(vault.Config{
		Store: st, Issuer: f.Issuer, Masters: []seal.Master{f.master}, Now: f.clock.Now, Rand: rand.Reader,
		NewSigningKey: newSigningKey,
	})
}

// checkRecords opens every record, and finds those of the person.
func (f *fixture) checkRecords(t *testing.T, st store.Store) {
	t.Helper()
	v := f.vault(st)
	all, err := v.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tally := range all {
		if want := f.Records[string(tally.Kind)]; tally.Opened != want || tally.Orphaned+tally.Broken > 0 {
			t.Errorf("%s: %+v, want %d good ones", tally.Kind, tally, want)
		}
	}
	keys, err := v.Keyring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	q := store.Query{Site: v.Site().String(), Kind: "grant", Person: keys.PersonIndex(f.Person)}
	if page, err := st.List(t.Context(), q); err != nil || len(page.Records) != f.Records["grant"] {
		t.Errorf("grants of the person: %d, %v", len(page.Records), err)
	}
	rules := clients.Rules{}
	g := clients.New(clients.Config{Vault: v, Rand: rand.Reader, Now: f.clock.Now, Events: event.Discard{}})
	if c, err := g.Find(t.Context(), rules, f.Client); err != nil || c.ID != f.Client {
		t.Errorf("the client: %+v, %v", c, err)
	}
}

// move exports the store and imports it into another one.
func (f *fixture) move(t *testing.T, st store.Store) store.Store {
	t.Helper()
	var out bytes.Buffer
	sites := []transfer.Site{{Issuer: f.Issuer, ID: seal.SiteOf(f.Issuer).String()}}
	n, err := transfer.Export{Store: st, Sites: sites, Kinds: vault.Kinds(), Now: f.clock.Now()}.Write(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	m, err := transfer.Verify(bytes.NewReader(out.Bytes()), vault.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	into := memory.New(memory.Options{}, f.env())
	if _, err := (transfer.Import{Store: into, Manifest: m, Now: f.clock.Now()}).Read(t.Context(), &out); err != nil || n < 5 {
		t.Fatalf("%d records, %v", n, err)
	}
	return into
}

// use does with a store what clients do.
func (f *fixture) use(t *testing.T, st store.Store) {
	t.Helper()
	v := f.vault(st)
	g := grants.New(grants.Config{
		Vault: v, Site: seal.SiteOf(f.Issuer), Now: f.clock.Now, Rand: rand.Reader, Events: event.Discard{}, Changed: func(tokens.ID) {},
	})
	p := f.policy()
	terms := grants.Terms{Policy: p, Provider: yesman{fixture: f}}
	mint := &minter{vault: v, now: f.clock.Now, rand: rand.Reader}
	door := guard.New(guard.Config{Grants: lookup{g}, Mint: mint.mint, Now: f.clock.Now})
	target := guard.NewTarget(p, p.Resources[0])
	passes := func(what, token string) bool {
		r := httptest.NewRequest(http.MethodPost, f.Resource, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		pass, err := door.Admit(t.Context(), guard.Request{HTTP: r, Target: target, Began: f.clock.Now()})
		if err != nil {
			if oauth.AsError(err) == nil {
				t.Errorf("%s: unknown outcome: %v", what, err)
			}
			return false
		}
		defer pass.Close()
		pass.Apply(r)
		return pass.Subject() == f.Person && pass.Client() == f.Client && strings.Count(r.Header.Get("Authorization"), ".") == 2
	}
	f.access(t, passes)
	f.refresh(t, g, terms, passes)
	f.redeem(t, g, terms, passes)
}

// access shows every access token.
func (f *fixture) access(t *testing.T, passes func(what, token string) bool) {
	t.Helper()
	for what, token := range map[string]string{"fresh": f.Fresh.Access, "rotated": f.Rotated.Access, "before": f.Before.Access} {
		if !passes(what, token) {
			t.Errorf("the access token %s is refused", what)
		}
	}
	if passes("ended", f.Ended.Access) {
		t.Error("a token of a grant that has ended is good")
	}
}

// refresh shows every refresh token.
func (f *fixture) refresh(t *testing.T, g *grants.Service, terms grants.Terms, passes func(what, token string) bool) {
	t.Helper()
	refresh := func(token string) (*grants.Issued, error) {
		return g.Refresh(t.Context(), terms, grants.Refreshing{Client: f.Client, Token: token})
	}
	// The answer to the refresh before may have been lost: the same tokens come again.
	again, err := refresh(f.Before.Refresh)
	if err != nil || again.Access.Text().Reveal() != f.Rotated.Access || again.Refresh.Text().Reveal() != f.Rotated.Refresh {
		t.Errorf("the answer of the last refresh does not come again: %v", err)
	}
	f.asked = nil
	for what, token := range map[string]string{"fresh": f.Fresh.Refresh, "rotated": f.Rotated.Refresh} {
		next, err := refresh(token)
		if err != nil {
			t.Errorf("refreshing %s: %v", what, err)
			continue
		}
		if !passes(what, next.Access.Text().Reveal()) {
			t.Errorf("the access token of a refresh is refused: %s", what)
		}
	}
	if len(f.asked) != 2 || f.asked[0] == "" || f.asked[1] == "" {
		t.Errorf("the provider was asked with %d tokens", len(f.asked))
	}
	if _, err := refresh(f.Ended.Refresh); oauth.AsError(err) == nil {
		t.Errorf("a grant that has ended is refreshed: %v", err)
	}
}

// redeem shows the code that nobody has used, and then the one that somebody has.
func (f *fixture) redeem(t *testing.T, g *grants.Service, terms grants.Terms, passes func(what, token string) bool) {
	t.Helper()
	got, err := g.Redeem(t.Context(), terms, grants.Redemption{
		Client: f.Client, Code: f.Code.Code, Verifier: f.Code.Verifier, RedirectURI: &f.Code.Redirect, Resource: f.Resource, Refreshable: true,
	})
	if err != nil || !passes("code", got.Access.Text().Reveal()) {
		t.Errorf("the code: %v", err)
	}
	_, err = g.Redeem(t.Context(), terms, grants.Redemption{
		Client: f.Client, Code: f.Spent.Code, Verifier: f.Spent.Verifier, RedirectURI: &f.Spent.Redirect, Resource: f.Resource, Refreshable: true,
	})
	if e := oauth.AsError(err); e == nil || e.Code != oauth.InvalidGrant {
		t.Errorf("a code works twice: %v", err)
	}
}

func (f *fixture) policy() *policy.Policy {
	r := &policy.Resource{URL: f.Resource, Audience: f.Resource, Path: "/mcp", Scopes: oauth.Scopes{defaultScope}}
	return &policy.Policy{
		Issuer: f.Issuer, Resources: []*policy.Resource{r}, Lifetimes: policy.DefaultLifetimes(), Streams: policy.DefaultStreams(),
	}
}

// yesman is a provider that vouches for the person of a fixture.
type yesman struct {
	provider.Provider
	*fixture
}

// Refresh implements provider.Provider.
func (y yesman) Refresh(_ context.Context, token secret.String) (*provider.Session, error) {
	y.asked = append(y.asked, token.Reveal())
	return &provider.Session{Person: provider.Person{Subject: y.Person}, RefreshToken: token}, nil
}
