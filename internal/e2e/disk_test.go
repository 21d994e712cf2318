// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/disktest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

// A full disk makes nobody sign in again: what must be written is refused with 503, what
// is there works, and everything works when there is space, without a restart.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := disktest.Mount(t)
	if disk == nil {
		mcptest.Absent(t, "mount", "this process may not mount a disk; the file store's own tests have the fault without one")
	}
	w := newWorld(t)
	w.start(w.caddyfile("store file " + filepath.Join(disk.Dir, "store.db") + "\nregistration {\nrate 1000 1m\n}\n"))
	c := w.raw(w.issuer)
	got := c.signIn(w.resource)
	disk.Fill(t)

	register := func(n int) *answer {
		body := strings.Replace(registration, "Raw client", fmt.Sprintf("Client %d %s", n, strings.Repeat("x", 80)), 1)
		return w.send(http.MethodPost, w.issuer+"/register", http.Header{"Content-Type": {"application/json"}}, body)
	}
	a, n := register(0), 1
	for ; a.status == http.StatusCreated && n < 500; n++ {
		a = register(n)
	}
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.member(t, "error") != "temporarily_unavailable" {
		t.Fatalf("registration %d on a full disk: %d %s", n, a.status, a.body)
	}
	w.caddy.AwaitOutput(t, "store file takes no writes")
	w.works(w.resource, got.access)
	if a := c.refresh(got.refresh); a.status != http.StatusOK && a.status != http.StatusServiceUnavailable {
		t.Errorf("refresh on a full disk: %d %s", a.status, a.body)
	}

	disk.Free(t)
	eventually(t, "registering when there is space", func() bool { return register(n).status == http.StatusCreated })
	w.caddy.AwaitOutput(t, "store file takes writes again")
	got = c.tokensOf(c.refresh(got.refresh))
	w.works(w.resource, got.access)
}

// A key file that is lost, and an encryption_key that is another one, are said to be so.
// Nobody's sign-in is gone once the right key is back.
func TestSec_H08_AnotherKey(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	c := w.raw(w.issuer)
	got := c.signIn(w.resource)
	w.caddy.Stop(t)
	path := filepath.Join(w.home.DataDir(), "mcp_oauth", "store.db.key")
	key, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for words, complaint := range map[string]string{
		"":                               "store.db.key is missing, and the store beside it is sealed under its key (id ",
		"encryption_key " + other + "\n": "keyring is sealed under another master key",
	} {
		w.start(w.caddyfile(words))
		w.caddy.AwaitOutput(t, complaint)
		if a := c.refresh(got.refresh); a.status != http.StatusServiceUnavailable {
			t.Errorf("refresh under another key: %d %s", a.status, a.body)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("the key was made anew")
		}
		w.caddy.Stop(t)
	}
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	w.start(w.caddyfile(""))
	got = c.tokensOf(c.refresh(got.refresh))
	w.works(w.resource, got.access)
}
