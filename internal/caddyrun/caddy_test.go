// SPDX-License-Identifier: Apache-2.0

package caddyrun

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

func TestMain(m *testing.M) { Main(m) }

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func site(addr, answer string) string { return "http://" + addr + " {\n\trespond " + answer + "\n}\n" }

func TestStartReloadStopAndStartAgain(t *testing.T) {
	t.Parallel()
	addr := FreeAddr(t)
	home := NewHome(t, "ANSWER=one")
	c := home.Start(t, site(addr, "{$ANSWER}"))
	if got := get(t, "http://"+addr); got != "one" {
		t.Errorf("first answer %q", got)
	}
	if out, err := c.Reload(t, site(addr, "two")); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := get(t, "http://"+addr); got != "two" {
		t.Errorf("answer after reload %q", got)
	}
	c.Stop(t)
	if _, err := http.Get("http://" + addr); err == nil {
		t.Error("still serves after stop")
	}
	c = home.Start(t, site(addr, "three"))
	if got := get(t, "http://"+addr); got != "three" {
		t.Errorf("answer after restart %q", got)
	}
	c.Kill(t)
	if _, err := http.Get("http://" + addr); err == nil {
		t.Error("still serves after kill")
	}
}

func TestRefusedConfiguration(t *testing.T) {
	t.Parallel()
	home := NewHome(t)
	c, err := home.TryStart(t, "http://localhost:1 {\n\tno_such_word\n}\n")
	if err == nil || !strings.Contains(c.Output(), "no_such_word") {
		t.Errorf("error %v, output %q", err, c.Output())
	}
	if out, err := home.Validate(t, "localhost {\n\tno_such_word\n}\n"); err == nil || !strings.Contains(out, "no_such_word") {
		t.Errorf("validate: error %v, output %q", err, out)
	}
	if out, err := home.Adapt(t, site("localhost:1", "x")); err != nil || !strings.HasPrefix(out, "{") {
		t.Errorf("adapt: error %v, output %q", err, out)
	}
}

// A server must not touch what the developer's own Caddy keeps.
func TestHomeIsSeparate(t *testing.T) {
	t.Parallel()
	home := NewHome(t)
	c := home.Start(t, site(FreeAddr(t), "x"))
	c.AwaitOutput(t, "serving initial configuration")
	if _, err := os.Stat(filepath.Join(home.Dir, "config", "caddy", "autosave.json")); err != nil {
		t.Error(err)
	}
	c.Stop(t)
	if c.output.await("never written", patience) {
		t.Error("found what was never written")
	}
}
