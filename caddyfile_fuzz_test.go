// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// FuzzCaddyfile wants the parser to answer every text with a position, or with a
// configuration that loads.
func FuzzCaddyfile(f *testing.F) {
	f.Add(testBase)
	f.Add("issuer {\n}\nregistration off {\nrate 1 1m")
	for _, c := range everyValue {
		f.Add(strings.ReplaceAll(c.body, "VALUE", c.good[0]))
	}
	f.Fuzz(func(t *testing.T, body string) {
		tokens, err := caddyfile.Tokenize([]byte("mcp_oauth {\n"+body+"\n}"), "Caddyfile")
		if err != nil {
			return
		}
		d := caddyfile.NewDispenser(tokens)
		d.Next()
		var h Handler
		if err := handlerWords.block(d, "mcp_oauth", &h); err != nil {
			if !strings.Contains(err.Error(), ", at Caddyfile:") {
				t.Fatalf("no position: %v", err)
			}
			return
		}
		raw, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if err := caddy.StrictUnmarshalJSON(raw, new(Handler)); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
	})
}
