// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
)

// The default store keeps everything over a restart and over a crash: nobody signs in
// again and nothing gets another name.
func TestRestart(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*caddyrun.Caddy, testing.TB){
		"stop": (*caddyrun.Caddy).Stop, "kill": (*caddyrun.Caddy).Kill,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startWorld(t)
			client := w.client(nil)
			session := w.connect(client)
			w.whoami(session)
			raw := w.raw(w.issuer)
			open := raw.begin(w.resource)
			code := open.code()
			id, kids, asked := client.Tokens.ClientID(), w.kids(), len(w.emulator.Requests(entratest.Authorize))

			// What was acknowledged last has to be there, too.
			if _, err := client.Tokens.Refresh(); err != nil {
				t.Fatal(err)
			}
			session.Close()
			end(w.caddy, t)
			w.start(w.caddyfile(""))

			checkIdentity(t, w, client, w.whoami(w.connect(client)), w.emulator.Tenant()+"."+anna)
			if _, err := client.Tokens.Refresh(); err != nil {
				t.Errorf("refresh after the restart: %v", err)
			}
			w.whoami(w.connect(client))
			w.works(w.resource, raw.tokensOf(open.redeem(code)).access)
			if got := client.Tokens.ClientID(); got != id {
				t.Errorf("client %s became %s", id, got)
			}
			if again := w.register(w.issuer, registration); again != raw.id {
				t.Errorf("the registration of %s is now %s", raw.id, again)
			}
			if got := w.kids(); got != kids {
				t.Errorf("keys %s became %s", kids, got)
			}
			if got := len(w.emulator.Requests(entratest.Authorize)); got != asked {
				t.Errorf("somebody had to sign in again: %d sign-ins instead of %d", got, asked)
			}
		})
	}
}

// kids are the ids of the published keys, in their order.
func (w *world) kids() string {
	w.t.Helper()
	var set struct {
		Keys []struct{ Kid string }
	}
	a := w.get(w.issuer + "/jwks")
	if err := json.Unmarshal([]byte(a.body), &set); err != nil || len(set.Keys) == 0 {
		w.t.Fatalf("jwks: %d %s", a.status, a.body)
	}
	all := ""
	for _, k := range set.Keys {
		all += k.Kid + " "
	}
	return all
}
