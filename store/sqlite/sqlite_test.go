// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/sqlite"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, env store.Env) store.Store {
		s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "store.sqlite"), sqlite.Options{}, env)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
