// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// flaky returns a node whose own way to the shared store is slow, loses calls and loses
// answers.
func flaky(t *testing.T, with node, random *rand.Rand) node {
	t.Helper()
	way := faulty.New(with.store.Inner())
	way.SetDelay(time.Duration(random.IntN(3)) * time.Millisecond)
	var plan []faulty.Fault
	for range 12 {
		plan = append(plan, []faulty.Fault{faulty.None, faulty.None, faulty.Slow, faulty.Before, faulty.After}[random.IntN(5)])
	}
	way.Set(faulty.None, plan...)
	config := vaulttest.Config(way, with.clock.Now, vaulttest.Master(t, 0))
	with.Vault = vault.New(config)
	return with
}

// atOnce has every node do something until it succeeds, and returns when all have.
func atOnce(t *testing.T, nodes []node, do func(node) error) {
	t.Helper()
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() {
			var err error
			for range 20 {
				if err = do(n); err == nil {
					return
				}
				if definite(err) {
					break
				}
			}
			t.Error(err)
		})
	}
	wg.Wait()
}

// same checks that every node has the keys of the first, and returns them.
func same(t *testing.T, nodes []node) *seal.Keyring {
	t.Helper()
	first := nodes[0].keyring(t)
	root, _ := first.ActiveRoot()
	signing, _ := first.ActiveSigning()
	for i, n := range nodes {
		keys := n.keyring(t)
		r, _ := keys.ActiveRoot()
		s, _ := keys.ActiveSigning()
		if r.KID != root.KID || !r.Secret.Equal(root.Secret) || s.KID != signing.KID || !keys.Index.Equal(first.Index) ||
			len(keys.Roots) != len(first.Roots) || len(keys.Signing) != len(first.Signing) {
			t.Errorf("node %d has other keys: %v", i, keys)
		}
	}
	return first
}

// Ten nodes that start together, and rotate together, over a network that loses calls and
// answers, have one set of keys.
func TestSec_H08_TenNodesAgreeInBadWeather(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 8))
		shared := newNode(t)
		nodes := make([]node, 10)
		for i := range nodes {
			nodes[i] = flaky(t, shared, random)
		}
		reload := func(n node) error { return n.Reload(t.Context()) }
		rotate := func(n node) error { return n.Rotate(t.Context()) }
		atOnce(t, nodes, func(n node) error { _, err := n.Keyring(t.Context()); return err })
		first := *same(t, nodes)
		if len(first.Roots) != 1 || len(first.Signing) != 1 {
			t.Errorf("seed %d: %v at the start", seed, &first)
		}
		for _, step := range []struct {
			wait           time.Duration
			roots, signing int
		}{{83 * day, 1, 2}, {7 * day, 2, 2}, {2 * day, 2, 1}} {
			shared.clock.Advance(step.wait)
			atOnce(t, nodes, rotate)
			atOnce(t, nodes, reload)
			if keys := same(t, nodes); len(keys.Roots) != step.roots || len(keys.Signing) != step.signing {
				t.Errorf("seed %d: %v after another %v", seed, keys, step.wait)
			}
		}
		atOnce(t, nodes, func(n node) error { return n.RenewNow(t.Context()) })
		atOnce(t, nodes, reload)
		if keys := same(t, nodes); len(keys.Signing) != 1 || len(keys.Roots) < 12 {
			t.Errorf("seed %d: %v after each node renewed", seed, keys)
		}
	}
}
