// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// otherNode is a vault of the same site on another machine.
func (w *world) otherNode(t *testing.T) *vault.Vault {
	t.Helper()
	master, err := seal.NewMaster(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return vault.New(vault.Config{
		Store: w.store, Issuer: issuer, Masters: []seal.Master{master}, Now: w.clock.Now, Rand: rand.Reader,
		NewSigningKey: func(now time.Time) (seal.SigningKey, error) {
			return tokens.NewSigningKey(rand.Reader, tokens.RS256, now)
		},
	})
}

// The key set is fetched again without cost while nothing has changed, and shows what
// another node has changed 10 seconds later at the latest.
func TestSec_H07_KeySetIsFresh(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	get := func(etag string) (status int, body, newETag string) {
		t.Helper()
		rec := w.call(request("GET", issuer+"/jwks", "", "If-None-Match", etag, "Origin", "https://app.example"))
		if h := rec.Header(); h.Get("Cache-Control") != "public, max-age=300" || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("ETag") == "" {
			t.Errorf("headers %v", h)
		}
		return rec.Code, rec.Body.String(), rec.Header().Get("ETag")
	}
	status, body, etag := get(`"none"`)
	if status != http.StatusOK || !strings.Contains(body, `"alg":"ES256"`) {
		t.Fatalf("%d %s", status, body)
	}
	if status, again, _ := get(etag); status != http.StatusNotModified || again != "" {
		t.Errorf("unchanged: %d %q", status, again)
	}
	if err := w.otherNode(t).RenewNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(10 * time.Second)
	status, after, newETag := get(etag)
	if status != http.StatusOK || newETag == etag || strings.Contains(after, `"alg":"ES256"`) || !strings.Contains(after, `"alg":"RS256"`) {
		t.Errorf("after an emergency on another node: %d %s", status, after)
	}
	// While the store is away the set stays what it was.
	w.clock.Advance(time.Minute)
	w.store.Set(faulty.Before)
	if status, still, _ := get(""); status != http.StatusOK || still != after {
		t.Errorf("without a store: %d %s", status, still)
	}
}

// Keys are published long enough before and after their use for whoever keeps the set as
// long as its answer allows.
func TestKeySetLivesLongEnough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, age, _ := strings.Cut(w.call(request("GET", issuer+"/jwks", "")).Header().Get("Cache-Control"), "max-age=")
	seconds, err := strconv.Atoi(age)
	if err != nil {
		t.Fatal(err)
	}
	cached := time.Duration(seconds) * time.Second
	if vault.SigningLead < 24*time.Hour || vault.SigningLead < 2*cached {
		t.Errorf("published %v before use, cached for %v", vault.SigningLead, cached)
	}
	// The longest JWT, from a node that has not heard of the rotation for an hour.
	if longest := 10 * time.Minute; policy.DefaultLifetimes().BackendJWT > longest || vault.SigningKept < time.Hour+longest+2*cached {
		t.Errorf("published %v after use, cached for %v", vault.SigningKept, cached)
	}
}
