// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	opaque "github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
)

// lastYes is what a grant says about the provider's last yes.
type lastYes struct {
	Time int64 `json:"yes"`
}

var grantsByYes = vault.Kind[lastYes]{Name: "grant", Schema: 1}

// age makes the provider's last yes older, as if time had passed.
func (n *nodes) age(t *testing.T, address, token string, by time.Duration) {
	t.Helper()
	s, err := redis.Open(t.Context(), redis.Options{Addresses: []string{address}, Prefix: redis.DefaultPrefix},
		store.Env{Now: clock.System, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	master, err := seal.ParseMaster("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
	if err != nil {
		t.Fatal(err)
	}
	v := vault.New(vault.Config{Store: s, Issuer: n.issuer, Masters: []seal.Master{master}, Now: clock.System, Rand: rand.Reader})
	access, ok := opaque.Parse(opaque.Access, token)
	if !ok {
		t.Fatal("no access token")
	}
	rec, err := vault.Get(t.Context(), v, grantsByYes, access.ID.String())
	if err != nil {
		t.Fatal(err)
	}
	rec.Value.Time -= int64(by / time.Second)
	if err := vault.Update(t.Context(), v, grantsByYes, rec); err != nil {
		t.Fatal(err)
	}
}

// asked is how often the provider was asked about somebody who has signed in.
func (w *world) asked() int {
	return len(slices.DeleteFunc(w.emulator.Requests(entratest.Token), func(r entratest.Request) bool {
		return r.Form.Get("grant_type") != "refresh_token"
	}))
}

// An account that is disabled loses its stream and its access on both nodes, though the
// client does nothing but listen.
func TestSec_G09_VerifyEveryAcrossNodes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := newWorld(t)
	w.signIn = "verify_account every 15m\n"
	s := w.streams()
	n := w.startNodes(t, "store redis redis://"+server.Addr+"\n")
	const a, b = 0, 1
	n.to(a)
	got := n.raw(n.issuer).signIn(n.resource)
	n.to(b)
	stream := n.listen(n.ctx, http.MethodGet, got.access)
	s.say(t, stream, "one")
	w.emulator.Disable(w.person())
	n.age(t, server.Addr, got.access, 15*time.Minute)
	receive(t, s.gone, "the backend hears of the end")
	ends(t, stream)
	for _, node := range []int{a, b} {
		n.to(node)
		eventually(t, "a node refuses", func() bool { return n.status(got.access) == http.StatusUnauthorized })
	}
	if w.asked() != 1 {
		t.Errorf("the provider was asked %d times", w.asked())
	}
}

// person is the user name of whoever signs in.
func (w *world) person() string { return entratest.DefaultUsers()[0].Username }

// With never the provider hears nothing more of a person who has signed in.
func TestVerifyNeverAsksNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.signIn = "verify_account never\n"
	w.start(w.caddyfile(""))
	c := w.raw(w.issuer)
	got := c.signIn(w.resource)
	w.emulator.Disable(w.person())
	for range 3 {
		got = c.tokensOf(c.refresh(got.refresh))
		w.works(w.resource, got.access)
	}
	if w.asked() != 0 {
		t.Errorf("the provider was asked %d times", w.asked())
	}
	// A reload that asks again has nothing to ask with until the person signs in anew.
	w.signIn = ""
	w.reload(w.caddyfile(""))
	c.tokensOf(c.refresh(got.refresh))
	if w.asked() != 0 {
		t.Errorf("the provider was asked %d times after the reload", w.asked())
	}
}

// By default a refresh asks: who was disabled keeps what is left of an access token, and
// a lost store of ours or theirs ends nothing.
func TestSec_G09_VerifyOnRefresh(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	c := w.raw(w.issuer)
	got := c.signIn(w.resource)
	for _, fault := range []entratest.Fault{entratest.Looping(), entratest.Outage(), entratest.Answer(401, "invalid_client", 7000222)} {
		w.emulator.Break(entratest.Token, fault)
		got = c.tokensOf(c.refresh(got.refresh))
		w.works(w.resource, got.access)
	}
	w.emulator.Mend(entratest.Token)
	w.emulator.Disable(w.person())
	w.works(w.resource, got.access)
	if a := c.refresh(got.refresh); a.status != http.StatusBadRequest || a.member(t, "error") != "invalid_grant" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if got := w.initialize(w.resource, got.access).status; got != http.StatusUnauthorized {
		t.Errorf("the access token of an ended sign-in: %d", got)
	}
}
