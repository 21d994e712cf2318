// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"path/filepath"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/file"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

func BenchmarkStore(b *testing.B) {
	s, err := file.Open(filepath.Join(b.TempDir(), "store.db"), store.Env{Now: clock.System})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	storetest.Bench(b, s)
}
