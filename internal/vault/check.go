// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Tally is how many records of a kind there are, and what became of opening them.
type Tally struct {
	Kind store.Kind `json:"kind"`
	// Opened opened with the configured keys.
	Opened int `json:"opened"`
	// Orphaned are sealed under a root that the keyring no longer has, or there is no
	// keyring: nobody can open them.
	Orphaned int `json:"orphaned"`
	// Broken were changed, put in another's place, or sealed with a key of the same name.
	Broken int `json:"broken"`
}

// Check opens every record of the site and changes nothing. ErrMaster says that the
// keyring is sealed under a key that is not configured, so that nothing opens.
func (v *Vault) Check(ctx context.Context) ([]Tally, error) {
	_, err := v.store.Get(ctx, v.keyringKey())
	none := errors.Is(err, store.ErrNotFound)
	if err != nil && !none {
		return nil, fmt.Errorf("vault: reading the keyring: %w", err)
	}
	var all []Tally
	for _, kind := range Kinds() {
		t := Tally{Kind: kind}
		q := store.Query{Site: v.site.String(), Kind: kind}
		for {
			page, err := v.store.List(ctx, q)
			if err != nil {
				return nil, fmt.Errorf("vault: listing %s: %w", kind, err)
			}
			for _, rec := range page.Records {
				if err := v.tally(ctx, &t, rec, none); err != nil {
					return nil, err
				}
			}
			if page.Next == "" {
				break
			}
			q.After = page.Next
		}
		all = append(all, t)
	}
	return all, nil
}

// tally opens one record and counts it. noRing says that there is no keyring, which must
// not be made by looking for it.
func (v *Vault) tally(ctx context.Context, t *Tally, rec store.Record, noRing bool) error {
	var err error
	switch {
	case t.Kind == keyringKind:
		err = v.CheckKeyring(ctx, rec)
	case noRing:
		err = errRootGone
	default:
		_, err = v.open(ctx, rec.Key, rec)
	}
	switch {
	case err == nil:
		t.Opened++
	case errors.Is(err, ErrTampered):
		t.Broken++
	case errors.Is(err, errRootGone):
		t.Orphaned++
	default:
		return err
	}
	return nil
}

// CheckKeyring makes sure that a keyring of this site, from wherever, opens with the
// configured keys.
func (v *Vault) CheckKeyring(ctx context.Context, rec store.Record) error {
	if rec.Key != v.keyringKey() {
		return v.tampered(ctx, keyringKind, errors.New("not in its place"))
	}
	_, _, err := v.openRing(ctx, rec)
	return err
}
