// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
)

// configured returns a node on the same store whose keys are of an algorithm; the log is
// what it warns of.
func configured(t *testing.T, with node, alg *string) (node, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	made := 0
	config := vaulttest.Config(with.store, with.clock.Now, vaulttest.Master(t, 0))
	config.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	config.Dropped = func() { log.WriteString("a key went before its time\n") }
	config.Algorithm = func() string { return *alg }
	config.NewSigningKey = func(now time.Time) (seal.SigningKey, error) {
		made++
		return seal.NewSigningKey(fmt.Sprintf("%s-%d", *alg, made), *alg, []byte("private"), now), nil
	}
	with.Vault = vault.New(config)
	return with, &log
}

// algorithms returns "alg state" of every signing key.
func (n node) algorithms(t *testing.T) string {
	t.Helper()
	var out []string
	for _, s := range n.keyring(t).Signing {
		out = append(out, s.Alg+" "+string(s.State))
	}
	return strings.Join(out, ", ")
}

// schedule rotates a node every hour and checks what it has at some hours.
func (n node) schedule(t *testing.T, want map[int]string, others ...node) {
	t.Helper()
	last := 0
	for hour := range want {
		last = max(last, hour)
	}
	for hour := range last + 1 {
		n.rotate(t)
		for _, o := range others {
			o.rotate(t)
		}
		if w, ok := want[hour]; ok {
			if got := n.algorithms(t); got != w {
				t.Errorf("hour %d: %s, want %s", hour, got, w)
			}
		}
		n.clock.Advance(time.Hour)
	}
}

// Both keys are published from a day before the change until two days after it, so a
// backend that knows both algorithms never meets a JWT that it cannot verify.
func TestAlgorithmChange(t *testing.T) {
	t.Parallel()
	alg := "RS256"
	n, log := configured(t, newNode(t), &alg)
	n.schedule(t, map[int]string{0: "RS256 active", 10: "RS256 active"})
	alg = "ES256"
	n.schedule(t, map[int]string{
		0: "RS256 active, ES256 next", 23: "RS256 active, ES256 next", 24: "RS256 retired, ES256 active",
		71: "RS256 retired, ES256 active", 72: "ES256 active", 100: "ES256 active",
	})
	if log.Len() > 0 {
		t.Errorf("warns of nothing: %s", log)
	}
}

// The week in which the next key of the former algorithm waits need not be waited for.
func TestAlgorithmChangeReplacesTheNextKey(t *testing.T) {
	t.Parallel()
	alg := "RS256"
	n, _ := configured(t, newNode(t), &alg)
	n.rotate(t)
	n.clock.Advance(84 * day)
	n.schedule(t, map[int]string{0: "RS256 active, RS256 next"})
	alg = "ES256"
	n.schedule(t, map[int]string{0: "RS256 active, ES256 next", 24: "RS256 retired, ES256 active"})
}

// A change that is taken back within the day has no effect.
func TestAlgorithmChangeTakenBack(t *testing.T) {
	t.Parallel()
	alg := "RS256"
	n, log := configured(t, newNode(t), &alg)
	n.rotate(t)
	alg = "ES256"
	n.schedule(t, map[int]string{0: "RS256 active, ES256 next", 5: "RS256 active, ES256 next"})
	alg = "RS256"
	n.schedule(t, map[int]string{0: "RS256 active, ES256 next", 41: "RS256 active, ES256 next", 42: "RS256 active", 200: "RS256 active"})
	if !strings.Contains(log.String(), "backend_jwt_alg") {
		t.Error("no warning while the other key waits")
	}
	if strings.Contains(log.String(), "before its time") {
		t.Error("a key that never signed is announced")
	}
}

// While a new setting is rolled out, the nodes do not undo each other's change; one that
// is left behind says so.
func TestNodesOfDifferentAlgorithms(t *testing.T) {
	t.Parallel()
	old, fresh := "RS256", "ES256"
	behind, log := configured(t, newNode(t), &old)
	behind.rotate(t)
	ahead, _ := configured(t, behind, &fresh)
	ahead.schedule(t, map[int]string{
		0: "RS256 active, ES256 next", 23: "RS256 active, ES256 next", 24: "RS256 retired, ES256 active", 71: "RS256 retired, ES256 active",
	}, behind)
	if got := behind.algorithms(t); got != "RS256 retired, ES256 active" {
		t.Errorf("the other node has %s", got)
	}
	if out := log.String(); !strings.Contains(out, "keys=ES256 configured=RS256") {
		t.Errorf("log: %s", out)
	}
	old = "ES256" // the roll-out ends
	ahead.schedule(t, map[int]string{0: "ES256 active", 100: "ES256 active"}, behind)
}

// Nodes that stay in disagreement change once in three days and break nothing: at any
// time the active key has been published for a day.
func TestNodesThatDisagreeForEver(t *testing.T) {
	t.Parallel()
	one, two := "RS256", "ES256"
	a, _ := configured(t, newNode(t), &one)
	b, _ := configured(t, a, &two)
	published := map[string]time.Time{}
	active, changes := "", 0
	for range 60 * 24 {
		a.rotate(t)
		b.rotate(t)
		now := a.clock.Now()
		for _, s := range a.keyring(t).Signing {
			if _, ok := published[s.KID]; !ok {
				published[s.KID] = now
			}
			if s.State != seal.SigningActive || s.KID == active {
				continue
			}
			if active != "" {
				changes++
				if now.Sub(published[s.KID]) < vault.SigningLead {
					t.Fatalf("%s signs %v after it was published", s.KID, now.Sub(published[s.KID]))
				}
			}
			active = s.KID
		}
		a.clock.Advance(time.Hour)
	}
	if changes < 2 || changes > 20 {
		t.Errorf("%d changes in 60 days", changes)
	}
}

// In an emergency the node that is asked decides.
func TestRenewNowTakesTheAlgorithm(t *testing.T) {
	t.Parallel()
	alg := "RS256"
	n, _ := configured(t, newNode(t), &alg)
	n.rotate(t)
	alg = "ES256"
	if err := n.RenewNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.schedule(t, map[int]string{0: "ES256 active", 100: "ES256 active"})
}
