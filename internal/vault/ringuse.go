// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"slices"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// ring is a keyring as it was read or written.
type ring struct {
	full      seal.Keyring
	plaintext []byte // the stored JSON
	version   store.Version
	master    seal.KID // the key that sealed it

	// early is full with the root before the newest in use, until usable.
	early  *seal.Keyring
	usable time.Time
}

func newRing(full seal.Keyring, plaintext []byte, version store.Version, master seal.KID) *ring {
	r := &ring{full: full, plaintext: plaintext, version: version, master: master}
	newest, _ := full.ActiveRoot()
	before, ok := inUseBefore(full.Roots, newest)
	if !ok {
		return r
	}
	r.usable = newest.Created.Add(rootLead)
	early := full.Clone()
	for i, root := range early.Roots {
		switch root.KID {
		case newest.KID:
			early.Roots[i].State = seal.RootPrevious
		case before.KID:
			early.Roots[i].State = seal.RootActive
		}
	}
	r.early = &early
	return r
}

// inUseBefore returns the root that was in use when the newest was made: the youngest of
// the others that had been published for long enough, else the oldest.
func inUseBefore(roots []seal.Root, newest seal.Root) (before seal.Root, ok bool) {
	settled := false
	for _, r := range roots {
		if r.KID == newest.KID {
			continue
		}
		is := !newest.Created.Before(r.Created.Add(rootLead))
		if !ok || is && (!settled || r.Created.After(before.Created)) || !is && !settled && r.Created.Before(before.Created) {
			before, settled, ok = r, is, true
		}
	}
	return before, ok
}

// at returns the keyring as it is to be used at a time.
func (r *ring) at(now time.Time) *seal.Keyring {
	if r.early != nil && now.Before(r.usable) {
		return r.early
	}
	return &r.full
}

// lacks tells whether a key is missing that old signed with and that was to be published
// until later.
func (r *ring) lacks(old *ring, now time.Time) bool {
	return slices.ContainsFunc(old.full.Signing, func(s seal.SigningKey) bool {
		due := s.State == seal.SigningRetired && !now.Before(s.NotAfter)
		return s.State != seal.SigningNext && !due &&
			!slices.ContainsFunc(r.full.Signing, func(o seal.SigningKey) bool { return o.KID == s.KID })
	})
}
