// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

// renewTries bounds how often another node may be quicker.
const renewTries = 10

// Renew begins a rotation that is not due yet: a new root comes into use within a minute
// and the former one stays good, and the next signing key takes over as soon as it has
// been published for a day. Every error is unknown.
func (v *Vault) Renew(ctx context.Context) error { return v.renew(ctx, v.planRenewal) }

// RenewNow replaces every key that may be known to somebody else. A new signing key, of
// the algorithm that is configured here, signs at once, and the former ones are published
// no more: every node stops using their JWTs when it follows. A new root comes into use
// within a minute; the former ones open nothing that a browser holds from then on, so
// that nobody can forge a sign-in with them. They still open records and verify tokens,
// which sign-ins are: nobody is signed out. Every error is unknown.
func (v *Vault) RenewNow(ctx context.Context) error { return v.renew(ctx, v.planReplacement) }

func (v *Vault) renew(ctx context.Context, plan func(*ring) (seal.Keyring, []string, error)) error {
	v.loading.Lock()
	defer v.loading.Unlock()
	var err error
	for range renewTries {
		if err = v.replace(ctx, plan); !errors.Is(err, errLost) {
			break
		}
	}
	return unsettled(err)
}

func (v *Vault) planRenewal(old *ring) (seal.Keyring, []string, error) {
	now := v.now().UTC().Truncate(time.Second)
	k := old.full.Clone()
	if active := signingIn(&k, seal.SigningActive); active >= 0 {
		published := now
		if next := signingIn(&k, seal.SigningNext); next >= 0 {
			published = k.Signing[next].Created
		}
		k.Signing[active].NotAfter = published.Add(SigningLead)
	}
	done, err := v.planSigning(&k, now)
	if err != nil {
		return k, nil, err
	}
	return k, append(done, v.resealed(old, &k, now, stepRootActive)...), v.newActiveRoot(&k, now)
}

func (v *Vault) planReplacement(old *ring) (seal.Keyring, []string, error) {
	now := v.now().UTC().Truncate(time.Second)
	k := old.full.Clone()
	key, err := v.newSigningKey(now)
	if err != nil {
		return k, nil, fmt.Errorf("vault: making a signing key: %w", err)
	}
	key.State, key.NotAfter = seal.SigningActive, now.Add(signingLife)
	k.Signing = []seal.SigningKey{key}
	if err := v.newActiveRoot(&k, now); err != nil {
		return k, nil, err
	}
	for i, r := range k.Roots {
		if r.State == seal.RootPrevious {
			k.Roots[i].State = seal.RootRetired
		}
	}
	return k, v.resealed(old, &k, now, stepAllReplaced), nil
}

// resealed returns the step, and the one of a change of the master key where writing the
// keyring is one.
func (v *Vault) resealed(old *ring, k *seal.Keyring, now time.Time, step string) []string {
	if !v.moves(old) {
		return []string{step}
	}
	k.Resealed = now
	return []string{step, stepMasterKey}
}
