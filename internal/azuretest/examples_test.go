// SPDX-License-Identifier: Apache-2.0

package azuretest_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// The examples of these stores are formatted and valid once their variables are set.
func TestExamplesAreValid(t *testing.T) {
	for name, value := range map[string]string{
		"ENTRA_TENANT_ID":          "11111111-2222-3333-4444-555555555555",
		"ENTRA_CLIENT_ID":          "66666666-7777-8888-9999-000000000000",
		"ENTRA_CLIENT_SECRET":      "not-a-secret",
		"MCP_ENCRYPTION_KEY":       "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
		"COSMOS_CONNECTION_STRING": "AccountEndpoint=https://example.documents.azure.com:443/;AccountKey=bm90LWEtc2VjcmV0;",
		"XDG_DATA_HOME":            t.TempDir(),
	} {
		t.Setenv(name, value)
	}
	for _, name := range []string{"azure-table", "cosmos"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "examples", name, "Caddyfile"))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(caddyfile.Format(text), text) {
			t.Errorf("%s is not formatted", name)
		}
		adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, nil)
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %v", name, err, warnings)
			continue
		}
		var config caddy.Config
		if err := json.Unmarshal(adapted, &config); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
