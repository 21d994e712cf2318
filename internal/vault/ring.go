// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

const (
	// reloadEvery is how often unknown kids can make the vault read the keyring.
	reloadEvery = 10 * time.Second
	// rootLead is how long a new root is published before anything is made with it. It
	// is longer than reloadEvery, so a node that meets the new root has either read it
	// or may read it: within reloadEvery "unknown" is truly no.
	rootLead = time.Minute
	// loadTimeout bounds reading or making a keyring, which outlives the request that
	// began it.
	loadTimeout = 10 * time.Second
)

// tries remembers when the keyring was read.
type tries struct {
	mu         sync.Mutex
	tried, got time.Time
	err        error
}

// settled tells whether another read is not due, and what the last one ended with.
func (t *tries) settled(now time.Time) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if within(now, t.got) {
		return true, nil
	}
	return within(now, t.tried), t.err
}

func within(now, then time.Time) bool {
	d := now.Sub(then)
	return !then.IsZero() && d >= 0 && d < reloadEvery
}

// done records a read that began at start.
func (t *tries) done(start time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tried, t.err = start, err
	if err == nil {
		t.got = start
	}
}

// Keyring returns the keyring of the site, which callers must not change. The first call
// reads it from the store, or makes it where there is none; many nodes that do so at once
// end up with the same one. Every error is unknown.
func (v *Vault) Keyring(ctx context.Context) (*seal.Keyring, error) {
	r := v.ring.Load()
	if r == nil {
		err := v.share(ctx, "first", func(ctx context.Context) error {
			if v.ring.Load() != nil {
				return nil
			}
			return v.reload(ctx)
		})
		if err != nil {
			return nil, err
		}
		r = v.ring.Load()
	}
	return r.at(v.now()), nil
}

// ActiveRoot returns the root under which new things are made. Every error is unknown.
func (v *Vault) ActiveRoot(ctx context.Context) (seal.Root, error) {
	keys, err := v.Keyring(ctx)
	if err != nil {
		return seal.Root{}, err
	}
	root, ok := keys.ActiveRoot()
	if !ok {
		return seal.Root{}, errors.New("vault: the keyring has no active root")
	}
	return root, nil
}

// Root returns the root that kid names. An unknown kid makes the vault read the keyring
// again, at most once in 10 seconds; false means that the keyring does not have it. An
// error is unknown: the keyring could not be read.
func (v *Vault) Root(ctx context.Context, kid seal.KID) (seal.Root, bool, error) {
	keys, err := v.Keyring(ctx)
	if err != nil {
		return seal.Root{}, false, err
	}
	if root, ok := keys.Root(kid); ok {
		return root, true, nil
	}
	if err := v.Follow(ctx); err != nil {
		return seal.Root{}, false, err
	}
	root, ok := v.ring.Load().at(v.now()).Root(kid)
	return root, ok, nil
}

// Follow reads the keyring again if that was last done 10 seconds ago or more. What
// becomes of it within that time is the answer of the last read. An error is unknown; the
// keyring that was there stays in use.
func (v *Vault) Follow(ctx context.Context) error {
	if settled, err := v.tries.settled(v.now()); settled {
		return err
	}
	return v.share(ctx, "again", func(ctx context.Context) error {
		if settled, err := v.tries.settled(v.now()); settled {
			return err
		}
		return v.reload(ctx)
	})
}

// Reload reads the keyring at once: somebody said that it has changed. An error is
// unknown; the keyring that was there stays in use.
func (v *Vault) Reload(ctx context.Context) error { return v.reload(ctx) }

// ErrNoKeys says that there is no keyring yet.
var ErrNoKeys = errors.New("vault: there are no keys yet: they are made when the site is first used")

// Inspect reads the keyring as it is in the store, makes none and puts nothing to use. It
// also returns the name of the master key that seals it. The error is ErrNoKeys or
// unknown.
func (v *Vault) Inspect(ctx context.Context) (*seal.Keyring, seal.KID, error) {
	r, err := v.readRing(ctx)
	if errors.Is(err, store.ErrNotFound) {
		return nil, seal.KID{}, ErrNoKeys
	}
	if err != nil {
		return nil, seal.KID{}, unsettled(err)
	}
	return r.at(v.now()), r.master, nil
}

// Loaded returns the keyring as this node last read it, or nil where it never did. It
// asks nobody.
func (v *Vault) Loaded() *seal.Keyring {
	if r := v.ring.Load(); r != nil {
		return r.at(v.now())
	}
	return nil
}

// share runs work once for all callers that ask for it at the same time. A caller whose
// context ends leaves; the work goes on for the others.
func (v *Vault) share(ctx context.Context, name string, work func(context.Context) error) error {
	result := v.flights.DoChan(name, func() (_ any, err error) {
		// This runs in a goroutine of its own, where a panic would end the whole server.
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("vault: panic: %v", p)
			}
		}()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		return nil, work(ctx)
	})
	select {
	case r := <-result:
		return r.Err
	case <-ctx.Done():
		return fmt.Errorf("vault: waiting for the keyring: %w", ctx.Err())
	}
}

// reload reads the keyring, or makes it, and puts it to use.
func (v *Vault) reload(ctx context.Context) error {
	v.loading.Lock()
	defer v.loading.Unlock()
	return v.reloadLocked(ctx)
}

func (v *Vault) reloadLocked(ctx context.Context) error {
	start := v.now()
	r, err := v.readOrMake(ctx)
	err = unsettled(err)
	v.tries.done(start, err)
	if err != nil {
		return err
	}
	v.adopt(r)
	return nil
}

// adopt puts a keyring to use.
func (v *Vault) adopt(r *ring) {
	old := v.ring.Swap(r)
	first := (*v.masters.Load())[0].KID()
	if r.master != first && (old == nil || old.version != r.version) {
		v.log.Warn("the keyring is sealed under an encryption_key that is not the first; keep that key configured",
			"keyring_key", r.master.String(), "first_key", first.String())
	}
	if old != nil && r.lacks(old, v.now()) {
		v.dropped()
	}
}

// readOrMake returns the stored keyring. Where there is none it stores a new one; a node
// that loses the race takes the winner's.
func (v *Vault) readOrMake(ctx context.Context) (*ring, error) {
	if len(*v.masters.Load()) == 0 {
		return nil, errors.New("vault: no master key")
	}
	r, err := v.readRing(ctx)
	if !errors.Is(err, store.ErrNotFound) {
		return r, err
	}
	r, err = v.makeRing(ctx)
	if errors.Is(err, store.ErrExists) {
		r, err = v.readRing(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("vault: making the keyring: %w", err)
	}
	return r, nil
}

// unsettled hides the definite answers of a store inside err: whatever happened to the
// keyring is no answer about the record that a caller asked for.
func unsettled(err error) error {
	for _, definite := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrTooLarge} {
		if errors.Is(err, definite) {
			return errors.New(err.Error())
		}
	}
	return err
}
