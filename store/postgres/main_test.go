// SPDX-License-Identifier: Apache-2.0

package postgres_test

import (
	"testing"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/mcpoauth/caddy-mcp-oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
)

func TestMain(m *testing.M) { caddyrun.Main(m) }
