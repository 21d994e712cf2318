// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/store/internal/sqlstore/sqlstoretest"
)

func BenchmarkStore(b *testing.B) { sqlstoretest.Bench(b, open(b, file(b), env())) }
