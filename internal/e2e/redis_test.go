// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
)

// Caddy starts without its Redis and says which store is missing. As soon as Redis is
// there everything works, without a restart; while it is away again, nobody is told no.
func TestRedisComesLater(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "requirepass correct-horse", "appendonly yes", "appendfsync always")
	server.Kill()
	w := newWorld(t)
	words := func(password string) string {
		return w.caddyfile(sharedKey + "store redis redis://:" + password + "@" + server.Addr + "\n")
	}
	w.start(words("not-a-secret"))
	w.caddy.AwaitOutput(t, "store redis "+server.Addr+": nothing answers at the address: check it")
	unavailable := func(a *answer) {
		t.Helper()
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.member(t, "error") != "temporarily_unavailable" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	register := func() *answer {
		return w.send(http.MethodPost, w.issuer+"/register", http.Header{"Content-Type": {"application/json"}}, registration)
	}
	unavailable(register())
	server.Run(t)
	w.caddy.AwaitOutput(t, "the server refuses the name or the password: correct username and password")
	unavailable(register())
	w.reload(words("correct-horse"))
	eventually(t, "redis is there", func() bool { return register().status == http.StatusCreated })
	c := w.raw(w.issuer)
	got := c.signIn(w.resource)
	w.works(w.resource, got.access)
	server.Kill()
	unavailable(c.refresh(got.refresh))
	server.Run(t)
	eventually(t, "redis is back", func() bool { return register().status == http.StatusCreated })
	got = c.tokensOf(c.refresh(got.refresh))
	w.works(w.resource, got.access)
	for _, secret := range []string{"not-a-secret", "correct-horse"} {
		if strings.Contains(w.caddy.Output(), secret) {
			t.Errorf("the password %s is in the log", secret)
		}
	}
}

// A password that is changed on both sides needs no restart: until the configuration has
// the new one requests get 503, and then everything goes on.
func TestRedisPasswordChanges(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "requirepass first-secret")
	w := newWorld(t)
	words := func(password string) string {
		return w.caddyfile(sharedKey + "store redis redis://:" + password + "@" + server.Addr + "\n")
	}
	w.start(words("first-secret"))
	c := w.raw(w.issuer)
	got := c.signIn(w.resource)
	admin := redis.NewClient(&redis.Options{Addr: server.Addr, Password: "first-secret", PoolSize: 1})
	defer admin.Close()
	for _, command := range [][]any{{"config", "set", "requirepass", "second-secret"}, {"client", "kill", "skipme", "yes"}} {
		if err := admin.Do(t.Context(), command...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if a := c.refresh(got.refresh); a.status != http.StatusServiceUnavailable {
		t.Fatalf("with the old password: %d %s", a.status, a.body)
	}
	w.reload(words("second-secret"))
	var after *answer
	eventually(t, "the new password works", func() bool { after = c.refresh(got.refresh); return after.status == http.StatusOK })
	w.works(w.resource, c.tokensOf(after).access)
}
