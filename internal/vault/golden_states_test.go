// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
)

// The fixture is a keyring in the middle of its life: roots in all three states, and
// genuine signing keys of both algorithms in all three states.
const statesFixture = "testdata/keyring.states.golden.json"

// writeStates makes the fixture. It stands for the keyrings of people who upgrade, so one
// that exists is never rewritten.
func writeStates(t *testing.T) {
	t.Helper()
	c, alg := clock.NewFake(start), tokens.RS256
	s := vaulttest.NewStore(c.Now)
	config := vaulttest.Config(s, c.Now, vaulttest.Master(t, 0))
	config.Algorithm = func() string { return alg }
	config.NewSigningKey = func(now time.Time) (seal.SigningKey, error) { return tokens.NewSigningKey(rand.Reader, alg, now) }
	n := node{store: s, clock: c, Vault: vault.New(config)}
	n.rotate(t)
	c.Advance(time.Hour)
	if err := n.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	alg = tokens.ES256
	n.rotate(t)
	c.Advance(vault.SigningLead)
	n.rotate(t)
	if err := n.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Advance(time.Hour)
	vaulttest.Write(t, statesFixture, s, c.Now(), "keyring")
}

func TestGoldenKeyringStates(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(statesFixture); errors.Is(err, fs.ErrNotExist) && os.Getenv("MCPOAUTH_WRITE_GOLDEN") != "" {
		writeStates(t)
	}
	f := vaulttest.Load(t, statesFixture)
	s, v := f.Vault(t)
	n := node{store: s, clock: clock.NewFake(time.Unix(f.Now, 0)), Vault: v}
	if got := n.algorithms(t); got != "RS256 retired, ES256 active, ES256 next" {
		t.Errorf("signing keys %s", got)
	}
	var states []string
	for _, r := range n.keyring(t).Roots {
		states = append(states, r.KID.String()+" "+string(r.State))
	}
	if got := strings.Join(states, ", "); got != wantRoots {
		t.Errorf("roots %s", got)
	}
	set, err := tokens.JWKS(n.keyring(t).Signing)
	if err != nil {
		t.Fatal(err)
	}
	var published struct {
		Keys []struct{ Kid, Alg string }
	}
	if err := json.Unmarshal(set, &published); err != nil || len(published.Keys) != 3 {
		t.Fatalf("%s, %v", set, err)
	}
	var ids []string
	for _, k := range published.Keys {
		ids = append(ids, k.Alg+" "+k.Kid)
	}
	if got := strings.Join(ids, ", "); got != wantKeys {
		t.Errorf("published %s", got)
	}
	n.rotate(t) // it can be written again
}

const (
	wantRoots = "538461 active, 8e6473 previous, 084b58 retired"
	wantKeys  = "ES256 lpSv68djLNlfX10rLzn2OkOf5udf4LYSHDagSxeoH1I, ES256 Wt3uG27-yA8AGZ1w6mUbHpthZqgMg1ohs_yG_eubM4c, RS256 a9FrKFnH9or1oQGDu1C3IIYGfGoAHWA8QieRAkeIwJc"
)
