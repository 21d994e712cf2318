// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// ErrOccupied says that the store has another record in the place of one from the stream.
// The keyring comes first, so a store that was in use is refused before anything is
// written to it.
var ErrOccupied = errors.New("the store has records of its own: import into an empty store, before a server has used it")

// Result is what an import did.
type Result struct {
	// Imported are the records that are in the store now, be it from an earlier import
	// of the same stream.
	Imported int `json:"imported"`
	// Expired have ended since the export and were left out.
	Expired int `json:"expired"`
}

// Import is a copy from a stream into a store.
type Import struct {
	Store store.Store
	// Manifest is what Verify found in the very stream.
	Manifest *Manifest
	Now      time.Time
	// Site restricts the import to one of the stream's; "" takes all of them.
	Site string
}

// Read writes the records of the stream into the store, each in its last version. It can
// be repeated after it was interrupted.
func (i Import) Read(ctx context.Context, r io.Reader) (Result, error) {
	var result Result
	var failed error
	err := read(r, func(header) {}, func(rec store.Record) {
		if failed != nil || i.Site != "" && rec.Site != i.Site || i.Manifest.versions[digest(rec.Key)] != rec.Version {
			return
		}
		if !i.Now.Before(rec.Expires) {
			result.Expired++
			return
		}
		if failed = i.put(ctx, rec); failed == nil {
			result.Imported++
		}
	})
	if failed != nil {
		return result, failed
	}
	return result, err
}

func (i Import) put(ctx context.Context, rec store.Record) error {
	err := i.Store.Create(ctx, rec)
	if errors.Is(err, store.ErrExists) {
		return fmt.Errorf("%s %s: %w", rec.Kind, rec.ID, ErrOccupied)
	}
	if err != nil {
		return fmt.Errorf("importing %s %s: %w", rec.Kind, rec.ID, err)
	}
	return nil
}
