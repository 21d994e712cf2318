// SPDX-License-Identifier: Apache-2.0

//go:build unix

package postgres_test

import (
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/store/postgres/postgrestest"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

// The server runs on the same machine, over loopback.
func BenchmarkStore(b *testing.B) {
	s := postgrestest.Start(b)
	st := open(b, s, env())
	defer st.Close()
	storetest.Bench(b, st)
}
