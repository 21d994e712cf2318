// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

const (
	signingLife = 90 * 24 * time.Hour
	// signingAhead is how long before its use the next key is made.
	signingAhead = 7 * 24 * time.Hour
	// SigningLead is the least time for which a signing key has been published when it
	// begins to sign, however late it was made. Backends may cache the JWK set for half
	// as long.
	SigningLead = 24 * time.Hour
	// SigningKept is how long a retired key stays published: the life of a JWT, the time in
	// which other nodes still sign with it, and then some.
	SigningKept = 48 * time.Hour
	// changeGivenUp is how long a key of an algorithm that is configured no more waits for
	// a node that still wants it.
	changeGivenUp = 2 * SigningLead
)

// planSigning moves the signing keys on and returns the steps.
//
// The algorithm changes as the key does, through next and active, so both are published
// meanwhile. Nodes that are configured differently, as during a roll-out, do not undo
// each other's change: none begins before the keys of the former algorithm are gone. One
// that was taken back before it had effect has none.
func (v *Vault) planSigning(k *seal.Keyring, now time.Time) (done []string, err error) {
	kept := slices.DeleteFunc(k.Signing, func(s seal.SigningKey) bool {
		return s.State == seal.SigningRetired && !now.Before(s.NotAfter)
	})
	if len(kept) < len(k.Signing) {
		done = append(done, stepSigningRemoved)
	}
	k.Signing = kept
	active, next := signingIn(k, seal.SigningActive), signingIn(k, seal.SigningNext)
	if active < 0 {
		return nil, errors.New("vault: keyring has no active signing key")
	}
	alg := v.algorithm()
	if next >= 0 && unwanted(k, k.Signing[active], k.Signing[next], alg, now) {
		k.Signing = slices.Delete(k.Signing, next, next+1)
		done = append(done, stepSigningRemoved)
		active, next = signingIn(k, seal.SigningActive), -1
	}
	v.warnOfOthers(k, k.Signing[active], next, alg)
	end := k.Signing[active].NotAfter
	switch {
	case next < 0 && (!now.Before(end.Add(-signingAhead)) || mayChange(k, k.Signing[active], alg)):
		key, err := v.newSigningKey(now)
		if err != nil {
			return nil, fmt.Errorf("vault: making a signing key: %w", err)
		}
		key.State = seal.SigningNext
		k.Signing = append(k.Signing, key)
		done = append(done, stepSigningNext)
	case next >= 0 && now.Sub(k.Signing[next].Created) >= SigningLead && takesOver(k.Signing[active], k.Signing[next], alg, now):
		k.Signing[active].State, k.Signing[active].NotAfter = seal.SigningRetired, now.Add(SigningKept)
		k.Signing[next].State, k.Signing[next].NotAfter = seal.SigningActive, now.Add(signingLife)
		done = append(done, stepSigningActive)
	}
	return done, nil
}

// warnOfOthers says that other nodes are configured for another algorithm than this one.
func (v *Vault) warnOfOthers(k *seal.Keyring, active seal.SigningKey, next int, alg string) {
	coming := active.Alg
	if next >= 0 {
		coming = k.Signing[next].Alg
	}
	if alg != "" && coming != alg && !mayChange(k, active, alg) {
		v.log.Warn("the signing keys are of another algorithm than this server is configured for; write the same backend_jwt_alg on every node",
			"keys", coming, "configured", alg)
	}
}

// takesOver tells whether a next key that has been published for long enough becomes the
// active one: when its time has come, or at once where it brings the algorithm that this
// node is configured for. One of an algorithm that this node does not want is left to the
// nodes that do.
func takesOver(active, next seal.SigningKey, alg string, now time.Time) bool {
	if next.Alg == active.Alg {
		return !now.Before(active.NotAfter)
	}
	return alg == "" || alg == next.Alg
}

// mayChange tells whether a change to alg may begin.
func mayChange(k *seal.Keyring, active seal.SigningKey, alg string) bool {
	return alg != "" && alg != active.Alg &&
		!slices.ContainsFunc(k.Signing, func(s seal.SigningKey) bool { return s.Alg != active.Alg })
}

// unwanted tells whether a next key has to go: it would keep the former algorithm for
// another 90 days, or it brings one that nobody has wanted since it could have.
func unwanted(k *seal.Keyring, active, next seal.SigningKey, alg string, now time.Time) bool {
	if alg == "" || next.Alg == alg {
		return false
	}
	if next.Alg == active.Alg {
		return mayChange(k, active, alg)
	}
	return now.Sub(next.Created) >= changeGivenUp
}

// signingIn returns the place of the key in a state, or -1.
func signingIn(k *seal.Keyring, state seal.SigningState) int {
	return slices.IndexFunc(k.Signing, func(s seal.SigningKey) bool { return s.State == state })
}
