// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/mcpoauth/caddy-mcp-oauth/examples/verify-jwt/goidc"
	"github.com/mcpoauth/caddy-mcp-oauth/examples/verify-jwt/gojose"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
)

// keysTool runs `caddy mcp-oauth keys …` beside a server.
func keysTool(t *testing.T, home *caddyrun.Home, text string, args ...string) string {
	t.Helper()
	out, problems, err := home.Tool(t, text, nil, append([]string{"mcp-oauth", "keys"}, args...)...)
	if err != nil {
		t.Fatalf("caddy mcp-oauth keys %v: %v\n%s%s", args, err, out, problems)
	}
	return out
}

// kidOf is the key that signed a JWT.
func kidOf(t *testing.T, text string) string {
	t.Helper()
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Headers[0].KeyID
}

// In an emergency one command replaces the keys. From then on no JWT of the former key
// leaves, backends that keep the key set follow by themselves, and nobody is signed out.
func TestSec_H07_EmergencyRotation(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	text := w.caddyfile("")
	c := w.raw(w.issuer)
	got := c.signIn(w.resource)
	leaked := w.jwtOf(w.resource, w.backend, got.access)
	viaOIDC, viaJOSE := goidc.New(t.Context(), w.issuer, w.resource), gojose.New(w.issuer, w.resource)
	verifies := func(token string) [2]bool {
		_, err := viaOIDC.Verify(t.Context(), token)
		_, also := viaJOSE.Verify(t.Context(), token)
		return [2]bool{err == nil, also == nil}
	}
	if v := verifies(leaked); v != [2]bool{true, true} {
		t.Fatalf("before: %v", v)
	}
	before := keysTool(t, w.home, text)
	for _, want := range []string{`encryption_key +[0-9a-f]{6} +- +seals`, `signing +` + kidOf(t, leaked) + ` +RS256 +active`, `root +[0-9a-f]{6} +- +active`} {
		if !regexp.MustCompile(want).MatchString(before) {
			t.Errorf("no %s in\n%s", want, before)
		}
	}

	// A rotation that only begins changes nothing for anybody.
	if out := keysTool(t, w.home, text, "rotate"); !strings.Contains(out, "RS256  next") || !strings.Contains(w.kids(), kidOf(t, leaked)) {
		t.Errorf("keys rotate:\n%s", out)
	}
	if again := w.jwtOf(w.resource, w.backend, got.access); again != leaked {
		t.Error("a rotation that only begins makes JWTs anew")
	}

	after := keysTool(t, w.home, text, "rotate", "--now")
	if strings.Contains(after, kidOf(t, leaked)) || strings.Contains(w.kids(), kidOf(t, leaked)) {
		t.Errorf("the former key is still there:\n%s", after)
	}
	fresh := w.jwtOf(w.resource, w.backend, got.access)
	if kidOf(t, fresh) == kidOf(t, leaked) {
		t.Error("the former key still signs")
	}
	// The backend learns of the new key by meeting it, and forgets the former one with that.
	if v := verifies(fresh); v != [2]bool{true, true} {
		t.Errorf("after: %v", v)
	}
	if v := verifies(leaked); v != [2]bool{} {
		t.Errorf("the JWT of the former key: %v", v)
	}
	w.works(w.resource, c.tokensOf(c.refresh(got.refresh)).access)
	w.caddy.Stop(t)
	// Without a server the command opens the store itself.
	if out := keysTool(t, w.home, text); !strings.Contains(out, kidOf(t, fresh)) {
		t.Errorf("without a server:\n%s", out)
	}
	keysTool(t, w.home, text, "rotate", "--now", "--issuer", w.issuer)
	w.start(text)
	if again := w.jwtOf(w.resource, w.backend, got.access); kidOf(t, again) == kidOf(t, fresh) {
		t.Error("the command did not replace the keys of the store")
	}
}

// Another algorithm is published before it is used, so that backends which accept both
// notice nothing; in an emergency it is used at once.
func TestAlgorithmChange(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	text := w.caddyfile("tokens {\nbackend_jwt_alg ES256\n}\n")
	c := w.raw(w.issuer)
	got := c.signIn(w.resource)
	viaOIDC, viaJOSE := goidc.New(t.Context(), w.issuer, w.resource), gojose.New(w.issuer, w.resource)
	check := func(alg string) {
		t.Helper()
		token := w.jwtOf(w.resource, w.backend, got.access)
		parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
		if err != nil || parsed.Headers[0].Algorithm != alg {
			t.Errorf("signed with %v, want %s: %v", parsed, alg, err)
		}
		if _, err := viaOIDC.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
		if _, err := viaJOSE.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
	check("RS256")
	w.reload(text)
	eventually(t, "the next key is published", func() bool { return strings.Count(w.kids(), " ") == 2 })
	check("RS256")
	if out := keysTool(t, w.home, text); !regexp.MustCompile(`RS256 +active(?s:.*)ES256 +next`).MatchString(out) {
		t.Errorf("keys:\n%s", out)
	}
	keysTool(t, w.home, text, "rotate", "--now")
	check("ES256")
	got = c.tokensOf(c.refresh(got.refresh))
	check("ES256")
}

// The other node follows: its key set, its JWTs and those in its memory.
func TestSec_H07_EmergencyRotationReachesTheOtherNode(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := "store redis redis://" + server.Addr + "\n"
	n := startNodes(t, store)
	c := n.raw(n.issuer)
	got := c.signIn(n.resource)
	jwtAt := func(node int) string { n.to(node); return n.jwtOf(n.resource, n.backend, got.access) }
	leaked := kidOf(t, jwtAt(0))
	if other := kidOf(t, jwtAt(1)); other != leaked {
		t.Fatalf("the nodes sign with %s and %s", leaked, other)
	}
	keysTool(t, n.homes[0], globals("")+n.nodeSite(0, sharedKey+store), "rotate", "--now")
	if kidOf(t, jwtAt(0)) == leaked {
		t.Error("the node that was asked still uses the former key")
	}
	eventually(t, "the other node uses the new key", func() bool { return kidOf(t, jwtAt(1)) != leaked })
	if n.keysOf(0) != n.keysOf(1) || strings.Contains(n.keysOf(1), leaked) {
		t.Errorf("key sets %s and %s", n.keysOf(0), n.keysOf(1))
	}
	n.to(1)
	c.tokensOf(c.refresh(got.refresh))
}

const (
	oldKey = "encryption_key AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
	newKey = "encryption_key ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=\n"
)

// sealedBy waits until the keyring is sealed by another master key than id.
func (w *world) sealedBy(t *testing.T, text, former string) string {
	t.Helper()
	now := former
	eventually(t, "the keyring moves to the new key", func() bool {
		now = masterIn(t, keysTool(t, w.home, text))
		return now != former
	})
	return now
}

// masterIn is the id of the master key in a list of keys.
func masterIn(t *testing.T, list string) string {
	t.Helper()
	found := regexp.MustCompile(`encryption_key +([0-9a-f]{6}) `).FindStringSubmatch(list)
	if found == nil {
		t.Fatalf("no encryption_key in\n%s", list)
	}
	return found[1]
}

// The master key is changed with reloads, and nobody is signed out: the new key is added,
// then put in front, then the old one goes.
func TestMasterKeyChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(w.caddyfile(oldKey))
	c := w.raw(w.issuer)
	first := c.signIn(w.resource)
	open := c.begin(w.resource)
	code := open.code()
	kids, former := w.kids(), masterIn(t, keysTool(t, w.home, w.caddyfile(oldKey)))
	check := func(step string, got tokens) tokens {
		t.Helper()
		w.works(w.resource, got.access)
		if w.kids() != kids {
			t.Errorf("%s: the signing keys have changed", step)
		}
		return c.tokensOf(c.refresh(got.refresh))
	}
	w.reload(w.caddyfile(oldKey + newKey))
	second := check("[old, new]", first)
	if now := masterIn(t, keysTool(t, w.home, w.caddyfile(oldKey+newKey))); now != former {
		t.Errorf("[old, new] seals with %s", now)
	}
	w.reload(w.caddyfile(newKey + oldKey))
	w.sealedBy(t, w.caddyfile(newKey+oldKey), former)
	third := check("[new, old]", second)
	w.reload(w.caddyfile(newKey))
	w.works(w.resource, third.access)
	w.works(w.resource, c.tokensOf(open.redeem(code)).access)
	fourth := check("[new]", third)

	// The old key alone opens nothing any more: unknown for everybody, and clear for the
	// administrator.
	w.caddy.Stop(t)
	w.start(w.caddyfile(oldKey))
	a := c.refresh(fourth.refresh)
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.member(t, "error") != "temporarily_unavailable" {
		t.Errorf("with the old key: %d %s", a.status, a.body)
	}
	for _, want := range []string{
		"add the former encryption_key as a second line", "the store cannot be used yet", "keyring is sealed under another master key", "store.db",
	} {
		w.caddy.AwaitOutput(t, want)
	}
	w.reload(w.caddyfile(newKey))
	eventually(t, "the new key is back", func() bool { return w.get(w.issuer+"/jwks").status == http.StatusOK })
	c.tokensOf(c.refresh(fourth.refresh))
}

// While the change is rolled out, nodes of both orders work together, and the one that is
// behind says so. One that lacks the new key is of no use and says why.
func TestMasterKeyChangeOnTwoNodes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := "store redis redis://" + server.Addr + "\n"
	n := startNodes(t, store)
	c := n.raw(n.issuer)
	got := c.signIn(n.resource)
	everywhere := func(step string) {
		t.Helper()
		for _, node := range []int{0, 1, 0} {
			n.to(node)
			n.works(n.resource, got.access)
			got = c.tokensOf(c.refresh(got.refresh))
		}
		if n.keysOf(0) != n.keysOf(1) {
			t.Errorf("%s: the nodes have different keys", step)
		}
	}
	reload := func(node int, keys string) {
		t.Helper()
		if out, err := n.caddy[node].Reload(t, globals("")+n.nodeSite(node, keys+store)); err != nil {
			t.Fatalf("caddy reload: %v\n%s", err, out)
		}
	}
	reload(0, oldKey+newKey)
	everywhere("[old, new] and [old]")
	reload(1, oldKey+newKey)
	former := masterIn(t, keysTool(t, n.homes[0], globals("")+n.nodeSite(0, oldKey+newKey+store)))
	reload(1, newKey+oldKey)
	text := globals("") + n.nodeSite(1, newKey+oldKey+store)
	eventually(t, "the keyring moves to the new key", func() bool { return masterIn(t, keysTool(t, n.homes[1], text)) != former })
	everywhere("[old, new] and [new, old]")
	n.caddy[0].AwaitOutput(t, "the keyring is sealed under an encryption_key that is not the first; keep that key configured")
	reload(0, newKey+oldKey)
	reload(1, newKey)
	everywhere("[new, old] and [new]")
	reload(0, newKey)
	everywhere("[new] on both")

	reload(0, oldKey)
	n.to(0)
	eventually(t, "the node with the wrong key is of no use", func() bool { return n.status(got.access) == http.StatusServiceUnavailable })
	n.caddy[0].AwaitOutput(t, "redis "+server.Addr)
	n.caddy[0].AwaitOutput(t, "write the encryption_key lines of the other nodes here, too")
	n.to(1)
	n.works(n.resource, got.access)
}
