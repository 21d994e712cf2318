// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	mathrand "math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"-conns 0", "-conns x", "-modes race", "-rounds 0", "-duration 0s", "extra"} {
		if _, err := parseOptions(strings.Fields(args)); err == nil {
			t.Errorf("%s was accepted", args)
		}
	}
	w := &world{options: options{systems: []string{"guard-transport"}}}
	chosen, err := w.wanted()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, k := range chosen {
		names = append(names, k.name)
	}
	if got := strings.Join(names, " "); got != "caddy caddy-transport guard-transport" {
		t.Errorf("what guard-transport is compared with: %s", got)
	}
	w.systems = []string{"apache"}
	if _, err := w.wanted(); err == nil {
		t.Error("an unknown system was accepted")
	}
}

// An invented token has the shape of a real one and differs behind the generation alone.
func TestInventedTokensLookReal(t *testing.T) {
	t.Parallel()
	r := mathrand.New(mathrand.NewPCG(1, 2))
	real := tokenPrefix + invent(r)
	one, two := invented(real, r), invented(real, r)
	if len(real) != tokens.Length || len(one) != len(real) || one == two || one[:headLength] != real[:headLength] {
		t.Errorf("%s and %s of %s", one, two, real)
	}
	if b, err := base64.RawURLEncoding.DecodeString(one[len(tokenPrefix):]); err != nil || len(b) != 72 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// The own generator counts answers and tells good from bad ones.
func TestOwnLoad(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(authServer("good"))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("good\nbad\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lines, err := readLines(file)
	if err != nil {
		t.Fatal(err)
	}
	addr := server.Listener.Addr().String()
	l := loading{Addr: addr, Conns: 2, Duration: 50 * time.Millisecond, Rate: 400}
	r, err := l.run(rawCalls(addr, lines))
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests < 2 || r.Errors < 1 || r.Errors >= r.Requests || r.P50 <= 0 || r.P99 < r.P50 {
		t.Errorf("result %+v", r)
	}
}
