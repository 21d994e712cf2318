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
	// rootLife is how long new things are made under one root.
	rootLife = 90 * 24 * time.Hour
	// resealPause keeps nodes whose master keys are in different order, as during a
	// roll-out, from taking the keyring from each other.
	resealPause = 24 * time.Hour
)

// Rotate reads the keyring again and does what is due: the next signing key is made a
// week before it is used, the active one is retired after 90 days, retired keys go, a
// root is replaced after 90 days, and a keyring that is sealed under another than the
// first master key moves to that and gets a new root. It is meant to be called at the
// start and then hourly on every node; whichever comes first does the work.
func (v *Vault) Rotate(ctx context.Context) error {
	v.loading.Lock()
	defer v.loading.Unlock()
	err := v.replace(ctx, v.plan)
	if errors.Is(err, errLost) {
		return v.reloadLocked(ctx)
	}
	return unsettled(err)
}

// errLost says that another node has written the keyring meanwhile.
var errLost = errors.New("vault: another node was quicker")

// replace reads the keyring and stores what plan makes of it, with the steps that lead
// there; without steps it stores nothing. v.loading is held.
func (v *Vault) replace(ctx context.Context, plan func(*ring) (seal.Keyring, []string, error)) error {
	if err := v.reloadLocked(ctx); err != nil {
		return err
	}
	old := v.ring.Load()
	full, done, err := plan(old)
	if err != nil || len(done) == 0 {
		return err
	}
	rec, r, err := v.sealRing(full, old)
	if err != nil {
		return err
	}
	err = v.store.Update(ctx, rec, old.version)
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		return errLost
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
	stepRootActive     = "root_active"
	stepRootRemoved    = "root_removed"
	stepAllReplaced    = "all_replaced"
)

// plan returns the keyring as it should be now, and the steps that lead there.
func (v *Vault) plan(old *ring) (seal.Keyring, []string, error) {
	now := v.now().UTC().Truncate(time.Second)
	k := old.full.Clone()
	done, err := v.planSigning(&k, now)
	if err != nil {
		return k, nil, err
	}
	active, _ := k.ActiveRoot()
	switch {
	case v.moves(old) && (k.Resealed.IsZero() || now.Sub(k.Resealed) >= resealPause):
		k.Resealed = now
		done = append(done, stepMasterKey)
		err = v.newActiveRoot(&k, now)
	case now.Sub(active.Created) >= rootLife:
		done = append(done, stepRootActive)
		err = v.newActiveRoot(&k, now)
	}
	if err != nil {
		return k, nil, err
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

// moves tells whether writing the keyring moves it to another master key.
func (v *Vault) moves(old *ring) bool { return old.master != (*v.masters.Load())[0].KID() }

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
