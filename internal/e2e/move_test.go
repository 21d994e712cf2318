// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
)

// tool runs `caddy mcp-oauth store …` and fails the test where it fails.
func (w *world) tool(text string, input []byte, args ...string) string {
	w.t.Helper()
	out, problems, err := w.home.Tool(w.t, text, input, append([]string{"mcp-oauth", "store"}, args...)...)
	if err != nil {
		w.t.Fatalf("caddy mcp-oauth store %v: %v\n%s%s", args, err, out, problems)
	}
	return out
}

// toolFails is tool where it has to fail with a complaint.
func (w *world) toolFails(complaint, text string, input []byte, args ...string) {
	w.t.Helper()
	out, problems, err := w.home.Tool(w.t, text, input, append([]string{"mcp-oauth", "store"}, args...)...)
	if err == nil || !strings.Contains(problems, complaint) {
		w.t.Errorf("caddy mcp-oauth store %v: %v, want %q\n%s%s", args, err, complaint, out, problems)
	}
}

// wantCounts checks the table that `store check` prints.
func (w *world) wantCounts(out string, counts map[string]int) {
	w.t.Helper()
	for kind, n := range counts {
		row := regexp.MustCompile(fmt.Sprintf(`(?m)^%s\s+%s\s+%d\s+0\s+0$`, regexp.QuoteMeta(w.issuer), kind, n))
		if !row.MatchString(out) {
			w.t.Errorf("no %d good records of the kind %s in\n%s", n, kind, out)
		}
	}
}

// Everybody's sign-in moves with an export and an import from one store to another. The
// export is taken from the running server, the import is made before the server uses the
// new store.
func TestMove(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from.db"), filepath.Join(dir, "to", "to.db")
	before, after := w.caddyfile("store file "+from+"\n"), w.caddyfile("store file "+to+"\n")
	w.start(before)
	c := w.raw(w.issuer)
	first, second := c.signIn(w.resource), c.signIn(w.resource)
	open := c.begin(w.resource)
	code := open.code()
	kids := w.kids()

	counts := map[string]int{"keyring": 1, "client": 1, "login": 3, "code": 3, "grant": 2}
	w.wantCounts(w.tool(before, nil, "check"), counts)
	stream := []byte(w.tool(before, nil, "export"))
	if strings.Contains(string(stream), first.access) || strings.Contains(string(stream), c.id) {
		t.Error("the export shows what is sealed")
	}
	file := filepath.Join(dir, "export")
	w.tool(before, nil, "export", "--issuer", w.issuer, file)
	w.toolFails("file exists", before, nil, "export", file)
	w.toolFails("no mcp_oauth site is loaded that has this issuer", before, nil, "export", "--issuer", "https://other.example")
	// The running server has records of its own: the same ones, so nothing happens.
	if out := w.tool(before, stream, "import"); !strings.Contains(out, "records imported") {
		t.Errorf("import of what is there: %q", out)
	}
	w.caddy.Stop(t)

	changed := []byte(strings.Replace(string(stream), `"kind":"grant"`, `"kind":"login"`, 1))
	w.toolFails("checksum does not fit", after, changed, "import")
	w.toolFails("ends too early", after, stream[:len(stream)-200], "import")
	w.toolFails("copy the key file", after, stream, "import")
	key, err := os.ReadFile(from + ".key")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to+".key", key, 0o600); err != nil {
		t.Fatal(err)
	}
	w.tool(after, stream, "import", "-")
	w.tool(after, nil, "import", file)
	w.wantCounts(w.tool(after, nil, "check"), counts)
	w.wantCounts(w.tool(before, nil, "check"), counts) // the old one is untouched

	w.start(after)
	for _, got := range []tokens{first, second} {
		w.works(w.resource, got.access)
		w.works(w.resource, c.tokensOf(c.refresh(got.refresh)).access)
	}
	w.works(w.resource, c.tokensOf(open.redeem(code)).access)
	if got := w.kids(); got != kids {
		t.Errorf("keys %s became %s", kids, got)
	}
	if c.register(w.issuer, registration) != c.id {
		t.Error("the client has another id")
	}
}

// A store that a server has used with keys of its own takes no others' records, and a
// key that does not fit is said before anything is written.
func TestMoveIntoAStoreInUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.db"), filepath.Join(dir, "two.db")
	first, second := w.caddyfile("store file "+one+"\n"), w.caddyfile("store file "+two+"\n")
	w.start(first)
	c := w.raw(w.issuer)
	c.signIn(w.resource)
	stream := []byte(w.tool(first, nil, "export"))
	w.caddy.Stop(t)
	w.start(second)
	got := w.raw(w.issuer).signIn(w.resource)
	// The server has the second store, so this goes to the server.
	w.toolFails("sealed under another master key", second, stream, "import")
	w.caddy.Stop(t)
	w.toolFails("sealed under another master key", second, stream, "import")

	key, err := os.ReadFile(one + ".key")
	if err != nil {
		t.Fatal(err)
	}
	// With the key of the records the way is free up to the first record of another's.
	mixed := w.caddyfile("store file " + two + "\nencryption_key " + strings.TrimSpace(string(key)) + "\n")
	w.toolFails("import into an empty store", mixed, stream, "import")
	w.start(second)
	w.works(w.resource, got.access)
}

// Any number of issuers share a file. They move together, or one of them alone.
func TestMoveOneOfTwoIssuers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := "http://" + caddyrun.FreeAddr(t)
	issuer, resource := other+"/oauth", other+"/mcp"
	w.emulator.Register(issuer + "/callback")
	dir := t.TempDir()
	// The two sites in one store, which is all that differs between the Caddyfiles.
	sites := func(path string) string {
		words := "store file " + path + "\nencryption_key " + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n"
		return w.caddyfile(words) + other + " {\n" + block("resource "+resource+"\n"+w.entra()+words) +
			"reverse_proxy /mcp* " + w.backend.addr() + "\n}\n"
	}
	from, both, one := sites(filepath.Join(dir, "from.db")), sites(filepath.Join(dir, "both.db")), sites(filepath.Join(dir, "one.db"))
	w.start(from)
	first, second := w.raw(w.issuer), w.raw(issuer)
	mine, theirs := first.signIn(w.resource), second.signIn(resource)
	w.caddy.Stop(t)

	all := []byte(w.tool(from, nil, "export"))
	half := []byte(w.tool(from, nil, "export", "--issuer", issuer))
	w.toolFails("no records of this issuer", both, half, "import", "--issuer", w.issuer)
	w.tool(both, all, "import")
	w.tool(one, half, "import")
	w.tool(one, all, "import", "--issuer", issuer) // the same once more
	w.wantCounts(w.tool(both, nil, "check"), map[string]int{"keyring": 1, "grant": 1})
	w.wantCounts(w.tool(one, nil, "check"), map[string]int{"keyring": 0, "grant": 0})

	w.start(one)
	if a := first.refresh(mine.refresh); a.status == http.StatusOK {
		t.Error("the other issuer moved, too")
	}
	second.tokensOf(second.refresh(theirs.refresh))
	w.caddy.Stop(t)
	w.start(both)
	first.tokensOf(first.refresh(mine.refresh))
	second.tokensOf(second.refresh(theirs.refresh))
}
