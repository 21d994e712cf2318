// SPDX-License-Identifier: Apache-2.0

// Package store is the contract between mcp_oauth and the place where its state lives.
//
// A store keeps sealed records and understands nothing inside them. Everything that
// must happen exactly once (redeeming a code, rotating a refresh token) is a change of
// one record, so the contract needs no transactions: a compare-and-swap on one record
// is enough. Package storetest holds every backend to every sentence below.
//
// The package uses the standard library alone, so that a backend links nothing else.
package store

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"
)

// Limits that every backend honours.
const (
	// MaxValue is the largest Record.Value in bytes; a longer one is ErrTooLarge.
	MaxValue = 48 << 10
	// MaxLimit is the largest Query.Limit; zero and larger values mean MaxLimit.
	MaxLimit = 200
)

// The four definite answers of a store. Any other error means that the outcome is
// unknown: the write may or may not have happened, and the caller may send the same
// record again.
var (
	// ErrNotFound says that no live record has the key. An expired record is not found.
	ErrNotFound = errors.New("store: record not found")
	// ErrExists says that Create met a live record with another version.
	ErrExists = errors.New("store: record exists")
	// ErrConflict says that Update or Delete met a record with another version.
	ErrConflict = errors.New("store: record was changed by somebody else")
	// ErrTooLarge says that Record.Value is longer than MaxValue.
	ErrTooLarge = errors.New("store: value too large")
)

// ErrRefused says that a store takes no writes at present, because it is full or was made
// read-only, and that reads go on. It is no answer about a record. A store that knows
// this wraps it, so that whoever watches over the store does not take it for dead.
var ErrRefused = errors.New("store: no writes are taken at present")

// Store keeps sealed records. Every method is atomic for one record and, while no
// failover happens, linearizable: an acknowledged write is seen by every later Get on
// every node. All methods may be called concurrently.
type Store interface {
	// Get returns the live record with the key, or ErrNotFound.
	Get(ctx context.Context, k Key) (Record, error)

	// Create stores a new record. A live record with the key is ErrExists, an expired
	// one is replaced. Where the stored version already is r.Version the call returns
	// nil, so that the same write may be sent again after an unknown result.
	Create(ctx context.Context, r Record) error

	// Update replaces the record whose stored version is prev: ErrConflict for another
	// version, ErrNotFound where none is alive. It may change Expires; Person and
	// Client are fixed at Create. Where the stored version already is r.Version the
	// call returns nil.
	Update(ctx context.Context, r Record, prev Version) error

	// Delete removes the record whose stored version is prev; the zero Version means
	// any. It returns nil when the record is absent and ErrConflict when a live one has
	// another version.
	Delete(ctx context.Context, k Key, prev Version) error

	// List returns the records that match q, ordered by Key.ID, at most q.Limit of them.
	// It may return stale entries and must not omit a record that lives during the whole
	// listing. No lock or cursor is held between pages.
	List(ctx context.Context, q Query) (Page, error)

	// Sweep removes at most limit records with Expires at or before the given time and
	// returns how many it removed. A record that was extended meanwhile stays: removal
	// is conditional on what was seen.
	Sweep(ctx context.Context, before time.Time, limit int) (int, error)

	// Close releases what Open acquired. Calls that are in flight may fail.
	Close() error
}

// Opener is what a store module is: configuration that can open a Store. It has no
// state of its own and opens nothing before Open.
type Opener interface {
	// Identity names the data, so that two configurations that mean the same data share
	// one handle: for a file its absolute path. It holds no options and no secrets.
	Identity() string
	// Open opens the store. It is called once per identity, and again after it failed.
	Open(ctx context.Context, env Env) (Store, error)
}

// Reopener is an Opener whose records are elsewhere, on a server: its store may be closed
// and opened again at any time, and nothing is lost by that.
type Reopener interface {
	Opener
	// Reopens does nothing; it is there to be implemented.
	Reopens()
}

// Env is what a store gets from its surroundings.
type Env struct {
	// Now is the clock by which records expire.
	Now func() time.Time
	// Rand is the source of randomness.
	Rand io.Reader
	// Log stays valid across reloads of the configuration.
	Log *slog.Logger
}

// Kind is the type of a record: a short lower-case word such as "grant".
type Kind string

// Key names a record.
type Key struct {
	// Site separates issuers: 16 hex digits of SHA-256(issuer).
	Site string
	Kind Kind
	// ID is a lower-case hex SHA-256, so backends with case-insensitive keys are safe.
	ID string
}

// Version identifies one write. The writer chooses it at random, and it is bound into
// the sealed value.
type Version [16]byte

// Index is a keyed hash of a person or a client; the zero Index means none.
type Index [32]byte

// Record is one sealed value with what a backend needs to find and to drop it.
type Record struct {
	Key
	Version Version
	// Person and Client are what List can search for. They never change after Create.
	Person, Client Index
	// Expires is when the record may be dropped: whole seconds UTC, never zero. A record
	// is alive while now < Expires.
	Expires time.Time
	// Value is opaque and at most MaxValue bytes long.
	Value []byte
}

// Query selects records of one site and kind, optionally of one person or one client.
type Query struct {
	Site           string
	Kind           Kind
	Person, Client Index
	// After is the Next of the page before; "" starts at the beginning.
	After string
	// Limit is at most MaxLimit.
	Limit int
}

// Page is a part of a listing. Next is what Query.After of the next page must be; ""
// means that this page is the last.
type Page struct {
	Records []Record
	Next    string
}

// Watcher is implemented by stores that learn of changes made by other nodes. Watch
// calls fn for each changed key, one call at a time, until ctx ends or the watch breaks;
// it always returns an error, and the caller may call it again. fn returns quickly.
//
// The zero Key says that anything may have changed: Watch calls fn with it as soon as it
// listens, and a caller takes the end of a watch for the same. Kinds other than "grant"
// and "keyring" may be left out, and so may changes made through this very handle, whose
// reports do no harm. Whoever follows a keyring looks by itself, too, only later.
type Watcher interface {
	Watch(ctx context.Context, fn func(Key)) error
}

// Pinger is implemented by stores that can tell whether they work and what time they
// believe it is.
type Pinger interface {
	Ping(ctx context.Context) (serverTime time.Time, err error)
}

// Durable is implemented by stores that can lose acknowledged writes; Loss says in one
// sentence what and when.
type Durable interface {
	Loss() string
}
