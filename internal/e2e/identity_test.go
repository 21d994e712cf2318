// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
)

// hostileName is a name that would be more than a name if anybody read it as Caddyfile,
// header or JSON.
const hostileName = `{env.PLANTED} {http.request.uri} {$PLANTED}","sub":"admin` + "\r\nX-Role: admin\r\n\r\nZoë 100%"

// claimsOf are the claims of a JWT, whose signature is of no interest.
func claimsOf(t testing.TB, text string) map[string]any {
	t.Helper()
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// A name is a name: no placeholder in it is filled in, no line of it becomes a header, and
// nothing of it becomes another claim.
func TestSec_H09_NamesAreNeverCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.emulator.Change("anna@contoso.example", func(u *entratest.User) { u.Name = hostileName })
	w.home.Env = []string{"PLANTED=" + planted}
	w.start(strings.Replace(w.caddyfile(""), "reverse_proxy /mcp* "+w.backend.addr(),
		"reverse_proxy /mcp* "+w.backend.addr()+" {\nheader_up X-Name {http.auth.user.name}\n}\n", 1))
	token := w.raw(w.issuer).signIn(w.resource).access
	w.works(w.resource, token)
	seen := w.backend.arrivals()
	if len(seen) != 1 {
		t.Fatalf("%d requests arrived", len(seen))
	}
	claims := claimsOf(t, seen[0].jwt())
	name, _ := claims["name"].(string)
	if !contains(name, `{env.PLANTED} {http.request.uri} {$PLANTED}","sub":"admin`, "Zoë 100%") || claims["sub"] != w.emulator.Tenant()+"."+anna {
		t.Errorf("claims %v", claims)
	}
	if got := seen[0].header.Get("X-Name"); !contains(got, "{env.PLANTED} {http.request.uri}") || strings.ContainsAny(got, "\r\n") {
		t.Errorf("X-Name %q", got)
	}
	for header, values := range seen[0].header {
		if header == "X-Role" || strings.Contains(strings.Join(values, " "), planted) {
			t.Errorf("%s: %q arrived", header, values)
		}
	}
}

// Whoever may read the configuration of a running Caddy does not learn the secrets that it
// names by {env} and {file}.
func TestSec_J22_ConfigurationHoldsNoSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(staticSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	const key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	w.home.Env = []string{"ENTRA_CLIENT_SECRET=" + w.emulator.ClientSecret(), "ENCRYPTION_KEY=" + key}
	words := "encryption_key {env.ENCRYPTION_KEY}\nclient static-client {\nsecret {file." + file + "}\nredirect_uri http://127.0.0.1:1/\n}\n"
	config := strings.ReplaceAll(w.caddyfile(words), w.emulator.ClientSecret(), "{env.ENTRA_CLIENT_SECRET}")
	adapted, err := w.home.Adapt(t, config)
	if err != nil {
		t.Fatalf("%v\n%s", err, adapted)
	}
	w.start(config)
	w.raw(w.issuer).signIn(w.resource)
	// What Caddy saves is what its admin endpoint answers.
	saved, err := os.ReadFile(filepath.Join(w.home.Dir, "config", "caddy", "autosave.json"))
	if err != nil || !contains(string(saved), "{env.ENTRA_CLIENT_SECRET}", "{env.ENCRYPTION_KEY}", "{file.") {
		t.Fatalf("%s: %v", saved, err)
	}
	for where, text := range map[string]string{"adapt": adapted, "the running configuration": string(saved), "the output": w.caddy.Output()} {
		for what, secret := range map[string]string{"provider's": w.emulator.ClientSecret(), "client's": staticSecret, "key": key} {
			if strings.Contains(text, secret) {
				t.Errorf("%s has the secret: %s", where, what)
			}
		}
	}
}

// Who a request is from is the guard's word: what the client says in the same header is
// replaced, also where there is nothing to say about the person.
func TestSec_J01_ClientsDoNotNameThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.emulator.SignInAs("ben@contoso.example") // whose address nobody has verified
	w.start(strings.Replace(w.caddyfile(""), "reverse_proxy /mcp* "+w.backend.addr(), "reverse_proxy /mcp* "+w.backend.addr()+
		" {\nheader_up X-User-Id {http.auth.user.id}\nheader_up X-User-Email {http.auth.user.email}\n}\n", 1))
	token := w.raw(w.issuer).signIn(w.resource).access
	h := withToken(token)
	h["X-User-Id"], h["X-User-Email"] = []string{"admin"}, []string{"admin@contoso.example", "admin2@contoso.example"}
	h["Authorization_"], h["authorization.x"] = []string{"Bearer admin"}, []string{"Bearer admin"}
	w.send("POST", w.resource, h, "{}")
	seen := w.backend.arrivals()
	if len(seen) != 1 {
		t.Fatalf("%d requests arrived", len(seen))
	}
	for name, values := range seen[0].header {
		if strings.Contains(strings.Join(values, " "), "admin") {
			t.Errorf("%s arrived as %q", name, values)
		}
	}
	if got := seen[0].header.Get("X-User-Id"); got != claimsOf(t, seen[0].jwt())["sub"] {
		t.Errorf("X-User-Id %q", got)
	}
}
