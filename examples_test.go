// SPDX-License-Identifier: Apache-2.0

package mcpoauth_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/mcpoauth/caddy-mcp-oauth"
)

// optInExamples need stores that the default build has not. The tests of internal/azuretest
// validate them.
var optInExamples = []string{"examples/azure-table/Caddyfile", "examples/cosmos/Caddyfile"}

// Every other example is formatted and passes `caddy validate` once its variables are set.
func TestExamplesAreValid(t *testing.T) {
	for name, value := range map[string]string{
		"ENTRA_TENANT_ID":     "11111111-2222-3333-4444-555555555555",
		"ENTRA_CLIENT_ID":     "66666666-7777-8888-9999-000000000000",
		"ENTRA_CLIENT_SECRET": "not-a-secret",
		"OIDC_CLIENT_ID":      "mcp",
		"OIDC_CLIENT_SECRET":  "not-a-secret",
		"XDG_DATA_HOME":       t.TempDir(),
	} {
		t.Setenv(name, value)
	}
	files, err := filepath.Glob("examples/*/Caddyfile")
	if err != nil || len(files) < 5 {
		t.Fatalf("examples %v, %v", files, err)
	}
	for _, file := range files {
		if slices.Contains(optInExamples, file) {
			continue
		}
		adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(readFile(t, file)), map[string]any{"filename": file})
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
