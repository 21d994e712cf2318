// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// cautious is a backend that fetches the key set no more often than it must, and does not
// fetch again when it meets a key that it does not know.
type cautious struct {
	keys    map[string]bool
	fetched time.Time
}

// accepts tells whether the backend knows the key that a node signs with.
func (c *cautious) accepts(t *testing.T, now time.Time, kid string, publisher node) bool {
	t.Helper()
	if c.keys == nil || now.Sub(c.fetched) >= vault.SigningLead/2 {
		c.keys, c.fetched = map[string]bool{}, now
		for _, k := range publisher.keyring(t).Signing {
			c.keys[k.KID] = true
		}
	}
	return c.keys[kid]
}

// Over two rotations and a change of the algorithm, no backend meets a key that it does
// not know, although it keeps the key set for twelve hours and asks whichever node, and
// the nodes look for changes once an hour alone.
func TestSec_H07_NoGapForBackendsWithACache(t *testing.T) {
	t.Parallel()
	const step = 10 * time.Minute // the longest life of a JWT
	random := rand.New(rand.NewPCG(7, 7))
	algs := [3]string{"RS256", "RS256", "RS256"}
	nodes := make([]node, len(algs))
	shared := newNode(t)
	for i := range nodes {
		nodes[i], _ = configured(t, shared, &algs[i])
		nodes[i].rotate(t)
	}
	backends := make([]cautious, 4)
	signed := map[string]bool{}
	minted := "" // by the step before, and still alive
	for i := range int(200 * day / step) {
		now := shared.clock.Now()
		if n := i % 6; n < len(nodes) {
			nodes[n].rotate(t)
		}
		if at := now.Sub(start); at > 100*day {
			algs[int(at/day)%len(algs)] = "ES256" // the new setting is rolled out over days
		}
		signer := nodes[random.IntN(len(nodes))]
		key, ok := signer.keyring(t).ActiveSigning()
		if !ok {
			t.Fatal("no active key")
		}
		signed[key.KID] = true
		for b := range backends {
			for _, kid := range []string{key.KID, minted} {
				if kid != "" && !backends[b].accepts(t, now, kid, nodes[random.IntN(len(nodes))]) {
					t.Fatalf("after %v backend %d does not know %s", now.Sub(start), b, kid)
				}
			}
		}
		minted = key.KID
		shared.clock.Advance(step)
	}
	key, _ := nodes[0].keyring(t).ActiveSigning()
	if len(signed) < 3 || key.Alg != "ES256" || key.State != seal.SigningActive {
		t.Errorf("%d keys signed, the last one %v", len(signed), key)
	}
}
