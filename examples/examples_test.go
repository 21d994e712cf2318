// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/mcpoauth/caddy-mcp-oauth"
	_ "github.com/mcpoauth/caddy-mcp-oauth/store/azuretable"
	_ "github.com/mcpoauth/caddy-mcp-oauth/store/cosmos"
	_ "github.com/mcpoauth/caddy-mcp-oauth/store/postgres"
	_ "github.com/mcpoauth/caddy-mcp-oauth/store/sqlite"
	_ "github.com/mcpoauth/caddy-mcp-oauth/store/sqlserver"
)

// Every example passes `caddy validate` once its variables are set, in a build with every
// store.
func TestExamplesAreValid(t *testing.T) {
	for name, value := range map[string]string{
		"ENTRA_TENANT_ID":          "11111111-2222-3333-4444-555555555555",
		"ENTRA_CLIENT_ID":          "66666666-7777-8888-9999-000000000000",
		"ENTRA_CLIENT_SECRET":      "not-a-secret",
		"OIDC_CLIENT_ID":           "mcp",
		"OIDC_CLIENT_SECRET":       "not-a-secret",
		"COSMOS_CONNECTION_STRING": "AccountEndpoint=https://mcp.documents.azure.com:443/;AccountKey=bm90LWEtc2VjcmV0;",
		"MCP_ENCRYPTION_KEY":       "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"REDIS_PASSWORD":           "not-a-secret",
		"XDG_DATA_HOME":            t.TempDir(),
	} {
		t.Setenv(name, value)
	}
	// One database for each, as nobody dials it.
	dsns := map[string]string{
		"postgres":  "postgres://mcp:not-a-secret@db.example.com/mcp?sslmode=verify-full",
		"sqlserver": "sqlserver://mcp:not-a-secret@db.example.com?database=mcp",
	}
	files, err := filepath.Glob("*/Caddyfile")
	if err != nil || len(files) < 8 {
		t.Fatalf("examples %v, %v", files, err)
	}
	for _, file := range files {
		t.Setenv("MCP_OAUTH_DSN", dsns[filepath.Dir(file)])
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": file})
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %v", file, err, warnings)
			continue
		}
		var config caddy.Config
		if err := json.Unmarshal(adapted, &config); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&config); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// What docs/stores.md shows as a Caddyfile is one.
func TestStoresOfTheManual(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "docs", "stores.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "\n```caddyfile\n")[1:]
	if len(blocks) < 5 {
		t.Fatalf("only %d blocks were found", len(blocks))
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "\n```")
		if _, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(block+"\n"), nil); err != nil {
			t.Errorf("%v in\n%s", err, block)
		}
	}
}
