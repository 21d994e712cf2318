// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddyserver/caddy/v2"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

func TestAdminRevoke(t *testing.T) {
	const query = "?issuer=https://revoke.example.com/oauth"
	_, h := running(t, sited("revoke.example.com"))
	if _, err := opened(t, h).vault.Keyring(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{`{"person":"a@b.example"}`, `{"client":"c"}`, `{"resource":"https://revoke.example.com/mcp"}`, `{"all":true}`} {
		w, err := adminCall(t, http.MethodPost, "/mcp_oauth/revoke"+query, body)
		if err != nil || !strings.Contains(w.Body.String(), `"ended":0`) {
			t.Errorf("%s: %s, %v", body, w.Body, err)
		}
	}
	for _, body := range []string{``, `{}`, `{"all":true,"client":"c"}`, `{"user":"x"}`, `[]`, `{"person":"` + strings.Repeat("x", maxNaming) + `"}`} {
		wantAdminError(t, http.MethodPost, "/mcp_oauth/revoke"+query, body, http.StatusBadRequest, "")
	}
	wantAdminError(t, http.MethodGet, "/mcp_oauth/revoke"+query, "", http.StatusMethodNotAllowed, "use POST")
	wantAdminError(t, http.MethodPost, "/mcp_oauth/revoke?issuer=x", `{"all":true}`, http.StatusNotFound, "no mcp_oauth site")
	wantAdminError(t, http.MethodPost, "/mcp_oauth/sessions?issuer=x", `{"of":"x"}`, http.StatusNotFound, "no mcp_oauth site")
	wantAdminError(t, http.MethodGet, "/mcp_oauth/sessions"+query+"&of=x", "", http.StatusMethodNotAllowed, "use POST")
	wantAdminError(t, http.MethodPost, "/mcp_oauth/sessions"+query+"&of=x", "", http.StatusBadRequest, "")
	if w, err := adminCall(t, http.MethodPost, "/mcp_oauth/sessions"+query, `{"of":"x"}`); err != nil || w.Body.String() != "{\"sessions\":[]}\n" {
		t.Errorf("sessions: %s, %v", w.Body, err)
	}
}

// What has begun goes on where whoever asked for it hangs up: what a revocation had not
// reached would work for as long as its access tokens live, and a rotation would be half done.
func TestAdminOutlivesTheCaller(t *testing.T) {
	_, h := running(t, sited("hangup.example.com"))
	if _, err := opened(t, h).vault.Keyring(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for path, c := range map[string]struct {
		serve      caddy.AdminHandlerFunc
		body, want string
	}{
		"revoke":      {onSites(serveRevoke), `{"all":true}`, `"ended":0`},
		"keys/rotate": {onSites(serveRotate), `{"now":true}`, `"state":"active"`},
	} {
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/mcp_oauth/"+path+"?issuer=https://hangup.example.com/oauth", strings.NewReader(c.body))
		w := httptest.NewRecorder()
		if err := c.serve(w, r); err != nil || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s: %s, %v", path, w.Body, err)
		}
	}
}

// What means no site in particular by mistake means none: a variable without a value must
// not sign the people of another site out.
func TestAdminIssuer(t *testing.T) {
	_, h := running(t, sited("meant.example.com"))
	if _, err := opened(t, h).vault.Keyring(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"issuer=", "issuer", "issuer=%zz", "issuer=https://meant.example.com/oauth&issuer=", "a;issuer=x"} {
		wantAdminError(t, http.MethodPost, "/mcp_oauth/revoke?"+query, `{"all":true}`, http.StatusBadRequest, "")
	}
	for _, args := range [][]string{{"revoke", "--all", "--issuer", ""}, {"keys", "rotate", "--now", "--issuer="}, {"store", "export", "--issuer="}} {
		root := &cobra.Command{SilenceErrors: true}
		root.AddCommand(storeCommand(), keysCommand(), revokeCommand())
		root.SetArgs(args)
		if err := root.Execute(); !errors.Is(err, errEmptyIssuer) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// Without a server, a store that has never been used is nearly always not the one that was
// meant. Nobody is told that all is done there, and nothing is made in it.
func TestSessionsOfAnUnusedStore(t *testing.T) {
	s := siteOver(t, &fakeStore{})
	if _, err := s.store.masterKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	sel := &selection{store: s.store, sites: []*site{s}}
	if _, err := sel.revoke(t.Context(), inspectingGrants, grants.Selection{All: true}); !errors.Is(err, vault.ErrNoKeys) {
		t.Errorf("revoke: %v", err)
	}
	if _, err := sel.sessions(t.Context(), inspectingGrants, "x"); !errors.Is(err, vault.ErrNoKeys) {
		t.Errorf("session: %v", err)
	}
	if _, err := sel.keys(t.Context(), inspecting); !errors.Is(err, vault.ErrNoKeys) {
		t.Errorf("keys were made: %v", err)
	}
}

// trailing is a store with an audit trail.
type trailing struct {
	store.Store
	entries []store.AuditEntry
	err     error
}

func (a *trailing) Append(context.Context, []store.AuditEntry) error { return nil }

func (a *trailing) Find(_ context.Context, q store.AuditQuery) ([]store.AuditEntry, error) {
	if a.err != nil {
		return nil, a.err
	}
	start := 0
	for i, e := range a.entries {
		if q.After != "" && e.ID == q.After {
			start = i + 1
		}
	}
	return a.entries[start:min(start+store.MaxAuditLimit, len(a.entries))], nil
}

func (a *trailing) Prune(context.Context, time.Time, int) (int, error) { return 0, nil }

// The explanation has the latest of what the audit trail knows.
func TestHistory(t *testing.T) {
	a := new(trailing)
	for i := range store.MaxAuditLimit + 5 {
		at := time.Unix(int64(1767323045+i), 0).UTC()
		a.entries = append(a.entries, store.AuditEntry{ID: at.String(), Time: at, Event: "refreshed", Mode: "rotated", Ref: at.Format("150405")})
	}
	s := siteOver(t, &fakeStore{wrap: func(inner store.Store) store.Store { a.Store = inner; return a }})
	session := grants.Session{Grant: "00", Created: a.entries[0].Time}
	past, err := s.history(t.Context(), session)
	if err != nil || len(past) != maxHistory || !past[maxHistory-1].Time.Equal(a.entries[len(a.entries)-1].Time) {
		t.Errorf("%+v, %v", past, err)
	}
	a.err = errors.ErrUnsupported
	if past, err := s.history(t.Context(), session); err != nil || past != nil {
		t.Errorf("without a trail: %+v, %v", past, err)
	}
	a.err = errors.New("down")
	if _, err := s.history(t.Context(), session); err == nil {
		t.Error("a trail that cannot be read is no error")
	}
}

// One screen, in which nothing that a client or provider chose does harm.
func TestPrintSessions(t *testing.T) {
	at := time.Unix(1767323045, 0).UTC()
	all := sessionList{More: 3, Sessions: []siteSession{{
		Session: grants.Session{
			Grant: "000102", Person: "tid.oid", Username: "ada\x1b[31m", Client: "dcr_x", Resource: "https://mcp.example.com/mcp", Scope: "mcp",
			Created: at, Refreshed: at.Add(time.Hour), Rotations: 3, Recovered: 1, Mode: "outage", Checked: at,
			Ended: &grants.Ending{Reason: "AADSTS50057", By: "provider", Time: at.Add(2 * time.Hour), Ref: "abcdefgh01234567", Provider: "trace"},
		},
		History: []pastEvent{{Time: at, Event: "refreshed", Mode: "graced", Address: "192.0.2.1"}},
	}, {Session: grants.Session{Person: "tid.bob", Created: at, Expires: at.Add(time.Hour), AccessTokens: 2}}}}
	var out bytes.Buffer
	if err := printSessions(&out, "x", all); err != nil {
		t.Fatal(err)
	}
	const want = `session    000102
person     tid.oid (ada[31m)
client     dcr_x
resource   https://mcp.example.com/mcp (mcp)
created    2026-01-02T03:04:05Z
refreshed  2026-01-02T04:04:05Z, 3 times, and again after a lost answer once; the last was outage
verified   2026-01-02T03:04:05Z
ended      2026-01-02T05:04:05Z, by provider: the provider said AADSTS50057
reference  abcdefgh01234567
provider's trace
           2026-01-02T03:04:05Z  refreshed  graced  192.0.2.1

person     tid.bob
resource    ()
created    2026-01-02T03:04:05Z
refreshed  never
state      alive, 2 access tokens; ends at 2026-01-02T04:04:05Z unless it is refreshed

and 3 more
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
	if err := printSessions(&out, "x\x1b", sessionList{}); !errors.Is(err, errNoSession) || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("without a session: %v", err)
	}
}

// A client that thousands share does not fill the screen, and what is left out is counted.
func TestSessionsAreBounded(t *testing.T) {
	s := siteOver(t, new(fakeStore))
	g, err := workingGrants(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	const url = "https://fake.example.com/mcp"
	terms := grants.Terms{Policy: &policy.Policy{
		Issuer: s.key.issuer, Resources: []*policy.Resource{{URL: url}}, Lifetimes: policy.DefaultLifetimes(),
	}}
	verifier, err := pkce.NewVerifier(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for range maxSessions + 2 {
		code, err := g.IssueCode(t.Context(), grants.Request{Client: "c", Challenge: pkce.Challenge(verifier), Resource: url, Scope: "mcp"},
			&provider.Session{Person: provider.Person{Subject: "ada"}}, time.Minute)
		if err == nil {
			_, err = g.Redeem(t.Context(), terms, grants.Redemption{Client: "c", Code: code.Reveal(), Verifier: verifier})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	sel := &selection{store: s.store, sites: []*site{s}}
	if all, err := sel.sessions(t.Context(), workingGrants, "c"); err != nil || len(all.Sessions) != maxSessions || all.More != 2 {
		t.Errorf("%d sessions and %d more, %v", len(all.Sessions), all.More, err)
	}
	if done, err := sel.revoke(t.Context(), workingGrants, grants.Selection{All: true}); err != nil || done[0].Ended != maxSessions+2 {
		t.Errorf("%+v, %v", done, err)
	}
}
