// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// How one node at a time asks the provider about a grant. Some providers accept each of
// their refresh tokens once, so two nodes must not show the same one:
//
//	rec := vault.Get(…)            // decide that the provider has to be asked
//	name, err := s.lease(ctx, rec) // errLeased, store.ErrConflict: read again after a while
//	defer s.release(ctx, id, name) // does nothing once the lease is gone
//	v, err := s.ask(…)             // within providerTimeout
//	write v to the grant, with LeaseUntil = 0, by compare-and-swap
//
// The lease is a member of the record, and the version that taking it made is the fence:
// a holder that was too slow writes into a conflict. It ends by itself, so the crash of a
// holder costs seconds.
const (
	// settleTimeout is what a holder has to write down an answer of the provider.
	settleTimeout = 5 * time.Second
	// clockLeeway is how far the clocks of two nodes may differ.
	clockLeeway = 5 * time.Second
	// leaseLife is longer than a living holder needs, by anybody's clock.
	leaseLife = providerTimeout + settleTimeout + clockLeeway
	// leaseDoubt is added to leaseLife where a lease seems to end too late to be true: it is
	// from a clock that has been set back since.
	leaseDoubt = time.Minute
	// leasePatience is how long others wait for a holder.
	leasePatience = 5 * time.Second
)

// errLeased says that somebody, here or on another node, is asking the provider about this
// grant now. It is an unknown outcome for whoever does not wait.
var errLeased = errors.New("the provider is being asked about this grant")

// lease takes the right to ask the provider about a grant and returns its name, which is
// for release. The name is also there where the outcome is unknown. store.ErrConflict says
// that the grant changed since it was read.
func (s *Service) lease(ctx context.Context, rec *vault.Record[grantRecord]) (name int64, err error) {
	g, now := &rec.Value, s.Now()
	if g.history().busy(now) {
		return 0, errLeased
	}
	if g.LeaseUntil, err = s.leaseName(now); err != nil {
		return 0, err
	}
	g.Asked = now.Unix()
	g.forget(now)
	err = vault.Update(ctx, s.Vault, grantKind, rec)
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	return g.LeaseUntil, err
}

// leaseName is when a lease ends, made unique in the part of a second.
func (s *Service) leaseName(now time.Time) (int64, error) {
	var b [4]byte
	if _, err := io.ReadFull(s.Rand, b[:]); err != nil {
		return 0, fmt.Errorf("reading randomness: %w", err)
	}
	part := binary.BigEndian.Uint32(b[:]) >> 2 // below 2^30 ns
	return now.Add(leaseLife).UnixNano() + int64(part), nil
}

// release gives a lease back that nothing came of. Where that fails it ends by itself.
func (s *Service) release(ctx context.Context, id string, name int64) {
	_ = s.amend(ctx, id, func(g *grantRecord) bool {
		mine := g.LeaseUntil == name
		g.LeaseUntil = 0
		return mine
	})
}

// amend changes a grant that others may change at the same time: it reads the grant, lets
// change alter it, and writes it unless change says false or the grant has ended. A grant
// that is gone is left gone.
func (s *Service) amend(ctx context.Context, id string, change func(*grantRecord) bool) error {
	for range attempts {
		rec, err := vault.Get(ctx, s.Vault, grantKind, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if rec.Value.Ended != nil || !change(&rec.Value) {
			return nil
		}
		rec.Value.forget(s.Now())
		err = vault.Update(ctx, s.Vault, grantKind, rec)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("grant is changing too fast to amend it")
}

// patience is how long somebody waits for a lease to end, looking again and again. The
// zero value has not waited yet.
type patience struct{ waited, pause time.Duration }

// The pause between two looks: doubling from the first to the last.
const (
	firstLook = 20 * time.Millisecond
	lastLook  = 200 * time.Millisecond
)

// wait pauses before the next look and tells whether there is one.
func (p *patience) wait(ctx context.Context) bool {
	p.pause = min(max(2*p.pause, firstLook), lastLook, leasePatience-p.waited)
	if p.pause <= 0 {
		return false
	}
	p.waited += p.pause
	t := time.NewTimer(p.pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
