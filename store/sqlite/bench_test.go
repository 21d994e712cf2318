// SPDX-License-Identifier: Apache-2.0

package sqlite_test

import (
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

func BenchmarkStore(b *testing.B) { storetest.Bench(b, open(b, file(b), env())) }
