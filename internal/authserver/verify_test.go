// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"encoding/json"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// providerToken is what a record says of the provider's token.
type providerToken struct {
	Sealed json.RawMessage `json:"up"`
}

var (
	codesByToken  = vault.Kind[providerToken]{Name: "code", Schema: 1}
	grantsByToken = vault.Kind[providerToken]{Name: "grant", Schema: 1}
)

// With verify_account never the provider's token is in no record at any time; else it is in
// the code and in the grant.
func TestNeverKeepsNoTokenOfTheProvider(t *testing.T) {
	t.Parallel()
	for _, never := range []bool{false, true} {
		w := newWorld(t)
		w.Policy.Verify.Never = never
		id := w.register(t, claude)
		text := w.browser().signIn(t, ask(id, claude))
		code, ok := tokens.Parse(tokens.Code, text)
		if !ok {
			t.Fatal("no code")
		}
		rec, err := vault.Get(t.Context(), w.state.Vault, codesByToken, code.ID.String())
		if err != nil || (len(rec.Value.Sealed) > 0) == never {
			t.Errorf("never %v: the code has %d bytes of the provider's, %v", never, len(rec.Value.Sealed), err)
		}
		answer := w.tokenCall(exchange(id, text))
		var got struct {
			Access string `json:"access_token"`
		}
		if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		access, ok := tokens.Parse(tokens.Access, got.Access)
		if !ok {
			t.Fatalf("%d %s", answer.Code, answer.Body)
		}
		grant, err := vault.Get(t.Context(), w.state.Vault, grantsByToken, access.ID.String())
		if err != nil || (len(grant.Value.Sealed) > 0) == never {
			t.Errorf("never %v: the grant has %d bytes of the provider's, %v", never, len(grant.Value.Sealed), err)
		}
	}
}
