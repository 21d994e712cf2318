// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
)

const day = 24 * time.Hour

// signing returns "kid state" of every signing key.
func (n node) signing(t *testing.T) string {
	t.Helper()
	var out []string
	for _, s := range n.keyring(t).Signing {
		out = append(out, strings.TrimPrefix(s.KID, "signing-")+" "+string(s.State))
	}
	return strings.Join(out, ", ")
}

func TestSec_H07_SigningKeyRotation(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.rotate(t)
	for _, step := range []struct {
		at   time.Duration
		want string
	}{
		{0, "1 active"},
		{83*day - time.Second, "1 active"},
		{83 * day, "1 active, 2 next"},
		{90*day - time.Second, "1 active, 2 next"},
		{90 * day, "1 retired, 2 active"},
		{92*day - time.Second, "1 retired, 2 active"},
		{92 * day, "2 active"},
		{173 * day, "2 active, 3 next"},
		{180 * day, "2 retired, 3 active"},
	} {
		n.clock.Advance(start.Add(step.at).Sub(n.clock.Now()))
		n.rotate(t)
		n.rotate(t) // twice does no more
		if got := n.signing(t); got != step.want {
			t.Errorf("after %v: %s, want %s", step.at, got, step.want)
		}
		if other := sharing(t, n).signing(t); other != step.want {
			t.Errorf("after %v another node has %s", step.at, other)
		}
	}
	want := []string{
		"signing_next", "signing_active", "root_active", "signing_removed", "signing_next", "signing_active", "root_active",
	}
	if got := n.events.Modes(event.KeyringRotated); !slices.Equal(got, want) {
		t.Errorf("events %v", got)
	}
}

// A server that was off when the next key was due publishes it a day before its use.
func TestSec_H07_LateNextKeyIsPublishedFirst(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.rotate(t)
	n.clock.Advance(120 * day)
	for _, want := range []string{"1 active, 2 next", "1 active, 2 next", "1 retired, 2 active"} {
		n.rotate(t)
		if got := n.signing(t); got != want {
			t.Errorf("at %v: %s, want %s", n.clock.Now(), got, want)
		}
		n.clock.Advance(12 * time.Hour)
	}
}

func TestManyNodesRotateOnce(t *testing.T) {
	t.Parallel()
	first := newNode(t)
	first.rotate(t)
	first.clock.Advance(83 * day)
	nodes := make([]node, 8)
	var wg, makers sync.WaitGroup
	makers.Add(len(nodes))
	for i := range nodes {
		nodes[i] = first
		nodes[i].events = &vaulttest.Events{}
		config := vaulttest.Config(first.store, first.clock.Now, vaulttest.Master(t, 0))
		config.Events = nodes[i].events
		config.NewSigningKey = func(now time.Time) (seal.SigningKey, error) {
			makers.Done()
			makers.Wait() // every node has read the keyring before one writes it
			return seal.NewSigningKey(fmt.Sprint("of node ", i), "RS256", []byte("private"), now), nil
		}
		nodes[i].Vault = vault.New(config)
		wg.Go(func() {
			if err := nodes[i].Rotate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	winners := 0
	for _, n := range nodes {
		winners += len(n.events.Modes(event.KeyringRotated))
		if got, want := n.signing(t), nodes[0].signing(t); got != want || len(n.keyring(t).Signing) != 2 {
			t.Errorf("signing keys %s and %s", got, want)
		}
	}
	if winners != 1 {
		t.Errorf("%d nodes rotated", winners)
	}
}
