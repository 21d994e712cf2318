// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

const (
	signingLife = 90 * 24 * time.Hour
	// signingAhead is how long before its use the next key is made; signingLead is the
	// least time that it must have been published, however late it was made. Backends
	// may cache the JWK set for as long.
	signingAhead = 7 * 24 * time.Hour
	signingLead  = 24 * time.Hour
	// signingKept is how long a retired key stays published: the life of a JWT, the
	// hour in which other nodes still sign with it, and then some.
	signingKept = 48 * time.Hour
	// resealPause keeps nodes whose master keys are in different order, as during a
	// roll-out, from taking the keyring from each other.
	resealPause = 24 * time.Hour
)

// Rotate reads the keyring again and does what is due: the next signing key is made a
// week before it is used, the active one is retired after 90 days, retired keys go, and a
// keyring that is sealed under another than the first master key moves to that and gets a
// new active root. It is meant to be called at the start and then hourly on every node;
// whichever comes first does the work.
func (v *Vault) Rotate(ctx context.Context) error {
	v.loading.Lock()
	defer v.loading.Unlock()
	if err := v.reloadLocked(ctx); err != nil {
		return err
	}
	old := v.ring.Load()
	full, done, err := v.plan(old)
	if err != nil || len(done) == 0 {
		return err
	}
	rec, r, err := v.sealRing(full, old)
	if err != nil {
		return err
	}
	err = v.store.Update(ctx, rec, old.version)
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		// Another node was quicker.
		return v.reloadLocked(ctx)
	}
	if err != nil {
		return fmt.Errorf("vault: storing the keyring: %w", err)
	}
	v.adopt(r)
	for _, step := range done {
		v.log.Info("rotated the keyring", "step", step, "master_key", r.master.String())
		v.emit(ctx, event.Event{Kind: event.KeyringRotated, Mode: step})
	}
	return nil
}

// The steps of a rotation, which are the modes of its events.
const (
	stepSigningNext    = "signing_next"
	stepSigningActive  = "signing_active"
	stepSigningRemoved = "signing_removed"
	stepMasterKey      = "master_key"
	stepRootRemoved    = "root_removed"
)

// plan returns the keyring as it should be now, and the steps that lead there.
func (v *Vault) plan(old *ring) (seal.Keyring, []string, error) {
	now := v.now().UTC().Truncate(time.Second)
	k := old.full.Clone()
	done, err := v.planSigning(&k, now)
	if err != nil {
		return k, nil, err
	}
	first := (*v.masters.Load())[0]
	if old.master != first.KID() && (k.Resealed.IsZero() || now.Sub(k.Resealed) >= resealPause) {
		if err := v.newActiveRoot(&k, now); err != nil {
			return k, nil, err
		}
		k.Resealed = now
		done = append(done, stepMasterKey)
	}
	kept := slices.DeleteFunc(k.Roots, func(r seal.Root) bool {
		return !r.Replaced.IsZero() && now.Sub(r.Replaced) >= MaxLife
	})
	if len(kept) < len(k.Roots) {
		done = append(done, stepRootRemoved)
	}
	k.Roots = kept
	return k, done, nil
}

func (v *Vault) planSigning(k *seal.Keyring, now time.Time) (done []string, err error) {
	kept := slices.DeleteFunc(k.Signing, func(s seal.SigningKey) bool {
		return s.State == seal.SigningRetired && !now.Before(s.NotAfter)
	})
	if len(kept) < len(k.Signing) {
		done = append(done, stepSigningRemoved)
	}
	k.Signing = kept
	active := slices.IndexFunc(k.Signing, func(s seal.SigningKey) bool { return s.State == seal.SigningActive })
	next := slices.IndexFunc(k.Signing, func(s seal.SigningKey) bool { return s.State == seal.SigningNext })
	if active < 0 {
		return nil, errors.New("vault: keyring has no active signing key")
	}
	end := k.Signing[active].NotAfter
	switch {
	case next < 0 && !now.Before(end.Add(-signingAhead)):
		key, err := v.newSigningKey(now)
		if err != nil {
			return nil, fmt.Errorf("vault: making a signing key: %w", err)
		}
		key.State = seal.SigningNext
		k.Signing = append(k.Signing, key)
		done = append(done, stepSigningNext)
	case next >= 0 && !now.Before(end) && now.Sub(k.Signing[next].Created) >= signingLead:
		k.Signing[active].State, k.Signing[active].NotAfter = seal.SigningRetired, now.Add(signingKept)
		k.Signing[next].State, k.Signing[next].NotAfter = seal.SigningActive, now.Add(signingLife)
		done = append(done, stepSigningActive)
	}
	return done, nil
}

// newActiveRoot puts a new root in front; the ones before it move one state on.
func (v *Vault) newActiveRoot(k *seal.Keyring, now time.Time) error {
	root, err := seal.NewRoot(v.rand, now)
	if err != nil {
		return err
	}
	for i, r := range k.Roots {
		switch r.State {
		case seal.RootActive:
			k.Roots[i].State, k.Roots[i].Replaced = seal.RootPrevious, now
		case seal.RootPrevious:
			k.Roots[i].State = seal.RootRetired
		}
	}
	k.Roots = append([]seal.Root{root}, k.Roots...)
	return nil
}
