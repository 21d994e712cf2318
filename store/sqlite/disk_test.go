// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/disktest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// A full disk refuses writes, and reads go on; when there is space again, so do writes.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := disktest.Mount(t)
	if disk == nil {
		mcptest.Absent(t, "mount", "this process may not mount a disk")
	}
	s := open(t, filepath.Join(disk.Dir, "store.sqlite"), env())
	record := func(n int) store.Record {
		r := store.Record{
			Key:     store.Key{Site: "0011223344556677", Kind: "grant", ID: fmt.Sprintf("%064x", n)},
			Expires: clock.System().Add(time.Hour).Truncate(time.Second), Value: make([]byte, 8<<10),
		}
		r.Version[0], r.Version[1] = byte(n), byte(n>>8)+1
		return r
	}
	if err := s.Create(t.Context(), record(0)); err != nil {
		t.Fatal(err)
	}
	disk.Fill(t)
	var err error
	for n := 1; err == nil && n < 200; n++ {
		err = s.Create(t.Context(), record(n))
	}
	if !errors.Is(err, store.ErrRefused) {
		t.Errorf("on a full disk: %v", err)
	}
	if _, err := s.Get(t.Context(), record(0).Key); err != nil {
		t.Error(err)
	}
	disk.Free(t)
	if err := s.Create(t.Context(), record(1000)); err != nil {
		t.Error(err)
	}
}
