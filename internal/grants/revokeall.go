// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// RevokeAll ends every grant that is meant, and every sign-in that is under way, and
// returns how many grants it ended. A sign-in that begins afterwards works. Where it fails
// half-way, what it has not reached ends with its next refresh; running it again is
// harmless.
func (s *Service) RevokeAll(ctx context.Context, sel Selection) (int, error) {
	if err := sel.Check(); err != nil {
		return 0, err
	}
	number, err := s.begin(ctx, sel.mark())
	if err != nil {
		return 0, fmt.Errorf("nothing was revoked: %w", err)
	}
	s.Events.Emit(ctx, sel.event())
	r := revocation{Service: s, sel: sel, number: number, out: map[string]bool{}}
	if sel.Person != "" {
		if err := r.signOut(ctx, sel.Person); err != nil {
			return 0, err
		}
	}
	for _, q := range sel.listings() {
		// What was created before the number was written is in the list, and what was
		// created later reads the number. A pass that finds nothing is the end.
		for again := true; again; {
			if again, err = r.pass(ctx, q); err != nil {
				return r.ended, err
			}
		}
	}
	return r.ended, nil
}

// revocation is one run of RevokeAll.
type revocation struct {
	*Service
	sel    Selection
	number int64
	ended  int
	// out are the persons whose epoch is set.
	out map[string]bool
}

// pass lists the grants once and ends those that are meant. It tells whether there were
// any.
func (r *revocation) pass(ctx context.Context, q vault.Query) (found bool, err error) {
	for {
		page, err := vault.List(ctx, r.Vault, grantKind, q)
		if err != nil {
			return found, err
		}
		for _, rec := range page.Records {
			if g := &rec.Value; !r.sel.means(g) || g.Ended != nil || g.Epoch >= r.number {
				continue
			}
			found = true
			if err := r.end(ctx, rec); err != nil {
				return found, err
			}
		}
		if page.Next == "" {
			return found, nil
		}
		q.After = page.Next
	}
}

// end ends a grant that a listing has found. Where somebody has just changed it, the next
// pass finds it again.
func (r *revocation) end(ctx context.Context, rec *vault.Record[grantRecord]) error {
	// The epoch comes first: a sign-in of the person by another name would be missed.
	if r.sel.Person != "" {
		if err := r.signOut(ctx, rec.Value.Person.Subject); err != nil {
			return err
		}
	}
	err := r.kill(ctx, rec, r.sel.reason(), "")
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	if err == nil {
		r.ended++
	}
	return err
}

// signOut sets the epoch of a person, once.
func (r *revocation) signOut(ctx context.Context, subject string) error {
	if r.out[subject] {
		return nil
	}
	err := r.setEpoch(ctx, subject, r.number)
	r.out[subject] = err == nil
	return err
}

// begin writes down that a revocation begins, and returns its number. of is what it means;
// nil means everything.
func (s *Service) begin(ctx context.Context, of []byte) (number int64, err error) {
	err = upsert(ctx, s, epochKind, epochID, func(e *epochRecord) bool {
		number = max(e.Number+1, s.Now().UnixMilli())
		e.set(of, number)
		return true
	})
	return number, err
}

// setEpoch sets the epoch of a person.
func (s *Service) setEpoch(ctx context.Context, subject string, number int64) error {
	return upsert(ctx, s, personKind, subject, func(p *personRecord) bool {
		higher := number > p.Epoch
		p.Epoch = max(p.Epoch, number)
		return higher
	})
}

// upsert changes a record that lives as long as epochs do, or makes it of the zero value.
// Where others change it at the same time, change is called again; false writes nothing.
func upsert[T any](ctx context.Context, s *Service, kind vault.Kind[T], id string, change func(*T) bool) error {
	for range attempts {
		expires := s.Now().Add(epochLife)
		rec, err := vault.Get(ctx, s.Vault, kind, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			var first T
			if !change(&first) {
				return nil
			}
			_, err = vault.Create(ctx, s.Vault, kind, id, first, vault.Options{Expires: expires})
		case err != nil:
			return err
		case !change(&rec.Value):
			return nil
		default:
			rec.Expires = expires
			err = vault.Update(ctx, s.Vault, kind, rec)
		}
		if !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return fmt.Errorf("too many revocations at once")
}
