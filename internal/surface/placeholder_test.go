// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func TestHasPlaceholder(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]bool{
		"": false, "plain": false, `back\slash`: false,
		"{env.A}": true, "{file.a}": true, "{file./run/secrets/a b.key}": true, `{file.C:\keys\a}`: true,
		"https://{env.A}:{env.B}/x": true, "{env.A}{env.B}": true,
	} {
		if got, err := HasPlaceholder(v); err != nil || got != want {
			t.Errorf("%q: %v, %v", v, got, err)
		}
	}
	for _, v := range []string{
		"{", "}", "{}", "{env}", "{env.}", "{file.}", "{env.A", "env.A}", "{{env.A}}", "{env.{env.A}}", `\{env.A}`, `{env.A\}`,
		"{host}", "{http.request.host}", "{http.request.header.X-Forwarded-Host}", "{system.hostname}", "{time.now}",
		"{vars.x}", "{ENV.A}", "{ env.A}", "{$A}", "{env.A}}", "x}{env.A}",
	} {
		if _, err := HasPlaceholder(v); !errors.Is(err, ErrBrace) {
			t.Errorf("%q: %v", v, err)
		}
	}
}

func TestExpand(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MCPOAUTH_TEST_A", "a {env.MCPOAUTH_TEST_B} b")
	t.Setenv("MCPOAUTH_TEST_B", "")
	repl := caddy.NewReplacer()
	for in, want := range map[string]string{
		"plain": "plain", "{file." + file + "}": "from file",
		// What a variable holds is text, even where it looks like a placeholder.
		"<{env.MCPOAUTH_TEST_A}>": "<a {env.MCPOAUTH_TEST_B} b>",
	} {
		if got, err := Expand(repl, in); err != nil || got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"{env.MCPOAUTH_TEST_B}", "{env.MCPOAUTH_TEST_UNSET}", "{file." + file + ".none}", "{system.hostname}"} {
		if got, err := Expand(repl, in); err == nil {
			t.Errorf("%q became %q", in, got)
		}
	}
}

// FuzzPlaceholder compares what is accepted with what Caddy makes of it: no brace of the
// configuration may survive, and only the two known kinds may be asked for.
func FuzzPlaceholder(f *testing.F) {
	for _, v := range []string{"", "{env.A}", `\{env.A}`, "{env.A\\}}", "a{file.b}c", "{{env.A}}", "{env.A}{", "{http.request.host}"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		has, err := HasPlaceholder(v)
		if err != nil {
			return
		}
		if !has && strings.ContainsAny(v, "{}") {
			t.Fatalf("%q has a brace and no placeholder", v)
		}
		repl := caddy.NewEmptyReplacer()
		repl.Map(func(key string) (any, bool) {
			if !strings.HasPrefix(key, "env.") && !strings.HasPrefix(key, "file.") {
				t.Errorf("%q asks for %q", v, key)
			}
			return "x", true
		})
		out, err := repl.ReplaceOrErr(v, true, true)
		if err != nil || strings.ContainsAny(out, "{}") {
			t.Fatalf("%q became %q, %v", v, out, err)
		}
	})
}
