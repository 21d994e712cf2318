// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// What is unknown, apart from failures of the store itself.
var (
	// ErrTampered says that a record did not open: it was changed, put in another's
	// place, or sealed with a key of the same name. An event RecordTampered was emitted.
	ErrTampered = errors.New("vault: record does not open")
	// ErrNewer says that a record was written by newer software than this.
	ErrNewer = errors.New("vault: record has a newer schema")
	// ErrMaster says that the keyring is sealed under a master key that is not
	// configured.
	ErrMaster = errors.New("vault: keyring is sealed under another master key")
)

// Config is what a Vault needs. Store, Issuer, Masters, Now, Rand and NewSigningKey are
// required.
type Config struct {
	Store store.Store
	// Issuer is the issuer identifier; its hash separates this site from others.
	Issuer string
	// Masters are the configured master keys. The first seals, all open.
	Masters []seal.Master
	Now     clock.Func
	// Rand is read concurrently.
	Rand   io.Reader
	Log    *slog.Logger // default: none
	Events event.Sink   // default: none
	// NewSigningKey makes a key for JWTs. The vault decides about its state.
	NewSigningKey func(now time.Time) (seal.SigningKey, error)
	// Algorithm is the algorithm of the keys that NewSigningKey makes now. Where the active
	// key has another, Rotate changes over to it. Default: keys of any algorithm will do.
	Algorithm func() string
	// Dropped is called after a signing key went before its time, as in RenewNow on any
	// node: JWTs that it signed must not be used any more. It must not call the vault.
	// Default: nobody asks.
	Dropped func()
}

// Vault is safe for concurrent use. It opens nothing before it is asked for something.
type Vault struct {
	store         store.Store
	site          seal.Site
	masters       atomic.Pointer[[]seal.Master]
	now           clock.Func
	rand          io.Reader
	log           *slog.Logger
	events        event.Sink
	newSigningKey func(now time.Time) (seal.SigningKey, error)
	algorithm     func() string
	dropped       func()

	ring    atomic.Pointer[ring] // nil before the first good load
	flights singleflight.Group
	loading sync.Mutex // held while the keyring is read or written
	tries   tries
}

// New returns a Vault and does nothing else.
func New(c Config) *Vault {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Events == nil {
		c.Events = event.Discard{}
	}
	if c.Algorithm == nil {
		c.Algorithm = func() string { return "" }
	}
	if c.Dropped == nil {
		c.Dropped = func() {}
	}
	v := &Vault{
		store: c.Store, site: seal.SiteOf(c.Issuer), now: c.Now, rand: c.Rand,
		log: c.Log, events: c.Events, newSigningKey: c.NewSigningKey, algorithm: c.Algorithm, dropped: c.Dropped,
	}
	v.SetMasters(c.Masters)
	return v
}

// SetMasters replaces the master keys, for a configuration that only reordered them. It
// has effect from the next Rotate on.
func (v *Vault) SetMasters(masters []seal.Master) {
	kept := append([]seal.Master(nil), masters...)
	v.masters.Store(&kept)
}

// Site returns the site whose records the vault keeps.
func (v *Vault) Site() seal.Site { return v.site }

// Format implements fmt.Formatter, so that printing a vault prints no key.
func (v *Vault) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "vault "+v.site.String()) }

const (
	// sweepDelay is how long garbage lies, so that a node whose clock is behind cannot
	// remove what others believe to be alive.
	sweepDelay = 10 * time.Minute
	sweepBatch = 500
	sweepMax   = 20 // batches in one Sweep
)

// Sweep removes garbage from the store. Records of other sites in the same store are
// garbage by the same rule and go as well.
func (v *Vault) Sweep(ctx context.Context) error {
	before := v.now().Add(-sweepDelay)
	for range sweepMax {
		n, err := v.store.Sweep(ctx, before, sweepBatch)
		if err != nil {
			return fmt.Errorf("vault: sweeping: %w", err)
		}
		if n < sweepBatch {
			return nil
		}
	}
	return nil
}

func (v *Vault) newVersion() (store.Version, error) {
	var version store.Version
	if _, err := io.ReadFull(v.rand, version[:]); err != nil {
		return version, fmt.Errorf("vault: reading randomness: %w", err)
	}
	return version, nil
}

func (v *Vault) emit(ctx context.Context, e event.Event) { v.events.Emit(ctx, e) }
