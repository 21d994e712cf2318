// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// What a key is for.
const (
	useMaster  = "encryption_key"
	useSigning = "signing"
	useRoot    = "root"
)

// keyInfo is what anybody may know about a key.
type keyInfo struct {
	Use   string `json:"use"`
	KID   string `json:"kid"`
	Alg   string `json:"alg,omitempty"`
	State string `json:"state"`
	// Created is when the key was made. Until is when an active key is replaced at the
	// latest, or a retired one removed.
	Created time.Time `json:"created,omitzero"`
	Until   time.Time `json:"until,omitzero"`
}

// siteKeys are the keys of one site.
type siteKeys struct {
	Issuer string    `json:"issuer"`
	Store  string    `json:"store"`
	Keys   []keyInfo `json:"keys"`
}

// described are the keys of a keyring that master seals: that one, then those that sign,
// then the roots.
func described(ring *seal.Keyring, master seal.KID) []keyInfo {
	all := []keyInfo{{Use: useMaster, KID: master.String(), State: "seals"}}
	for _, s := range ring.Signing {
		all = append(all, keyInfo{Use: useSigning, KID: s.KID, Alg: s.Alg, State: string(s.State), Created: s.Created, Until: s.NotAfter})
	}
	for _, r := range ring.Roots {
		k := keyInfo{Use: useRoot, KID: r.KID.String(), State: string(r.State), Created: r.Created}
		if !r.Replaced.IsZero() {
			k.Until = r.Replaced.Add(vault.MaxLife)
		}
		all = append(all, k)
	}
	return all
}

// keys are the keys of the sites, as they are in the store.
func (sel *selection) keys(ctx context.Context, of vaultOf) ([]siteKeys, error) {
	var all []siteKeys
	for _, s := range sel.sites {
		v, err := of(ctx, s)
		var ring *seal.Keyring
		var master seal.KID
		if err == nil {
			ring, master, err = v.Inspect(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.key.issuer, err)
		}
		all = append(all, siteKeys{Issuer: s.key.issuer, Store: s.key.store, Keys: described(ring, master)})
	}
	return all, nil
}

// vaultOf finds the vault of a site: the one that it works with, or an inspector.
type vaultOf func(ctx context.Context, s *site) (*vault.Vault, error)

func working(ctx context.Context, s *site) (*vault.Vault, error) {
	sv, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	return sv.vault, nil
}

func inspecting(ctx context.Context, s *site) (*vault.Vault, error) { return s.inspector(ctx) }

// errHalfDone tells what to do after a rotation whose outcome is unknown.
var errHalfDone = errors.New("whether the keys have changed is unknown: look at them with keys, and do it again where they have not")

// rotateKeys begins a rotation on the sites or, with now, replaces all their keys.
func (sel *selection) rotateKeys(ctx context.Context, of vaultOf, now bool) ([]siteKeys, error) {
	// Nothing is made by a rotation of what is not there.
	if _, err := sel.keys(ctx, of); err != nil {
		return nil, err
	}
	for _, s := range sel.sites {
		v, err := of(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.key.issuer, err)
		}
		renew := v.Renew
		if now {
			renew = v.RenewNow
		}
		if err := renew(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w; %w", s.key.issuer, err, errHalfDone)
		}
	}
	return sel.keys(ctx, of)
}

// rotation is the body of a request to rotate.
type rotation struct {
	// Now replaces all keys at once.
	Now bool `json:"now"`
}

// maxRotation bounds such a body in bytes.
const maxRotation = 1 << 10

func serveKeys(sel *selection, r *http.Request) ([]siteKeys, error) {
	return sel.keys(r.Context(), working)
}

func serveRotate(sel *selection, r *http.Request) ([]siteKeys, error) {
	var body rotation
	if err := readBody(r, &body, maxRotation, `how to rotate, as {"now": false}`); err != nil {
		return nil, err
	}
	// What has begun is finished, also where the caller hangs up. The store bounds each step.
	return sel.rotateKeys(context.WithoutCancel(r.Context()), working, body.Now)
}

// keyUse names a gauge.
type keyUse struct{ issuer, use string }

// keyAges are the ages in seconds of the keys in use, by site. A site whose store was
// changed by a reload is there twice for a moment, and its older keys count.
func keyAges() map[keyUse]float64 {
	ages, now := make(map[keyUse]float64), clock.System()
	for _, s := range activeSites() {
		sv := s.services.Load()
		if sv == nil {
			continue
		}
		ring := sv.vault.Loaded()
		if ring == nil {
			continue
		}
		note := func(use string, made time.Time) {
			k := keyUse{s.key.issuer, use}
			ages[k] = max(ages[k], now.Sub(made).Seconds())
		}
		if key, ok := ring.ActiveSigning(); ok {
			note(useSigning, key.Created)
		}
		if root, ok := ring.ActiveRoot(); ok {
			note(useRoot, root.Created)
		}
	}
	return ages
}
