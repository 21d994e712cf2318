// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// A full disk stops writes and not reads; a server that can only be read may be a replica,
// whose records are old.
func TestRefusedWrites(t *testing.T) {
	t.Parallel()
	for code, refused := range map[string]bool{"53100": true, "25006": false, "40001": false, "57P01": false} {
		if err := explain(fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: code})); errors.Is(err, store.ErrRefused) != refused {
			t.Errorf("%s: %v", code, err)
		}
	}
}
