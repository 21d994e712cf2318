// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func dumpOf(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func contains(dump, s string) bool { return strings.Contains(dump, s) }

func login() Login {
	return Login{Request: request(), Verifier: "v", Nonce: "n", Binding: []byte("this browser")}
}

func TestLoginOnce(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	tid := [16]byte{1}
	if _, err := n.StartLogin(t.Context(), tid, login()); err != nil {
		t.Fatal(err)
	}
	again := login()
	again.Verifier = "another"
	l, err := n.StartLogin(t.Context(), tid, again)
	if err != nil || l.Verifier != "v" {
		t.Fatalf("a double click should find the first login: %+v, %v", l, err)
	}
	again.Binding = []byte("another browser")
	if _, err = n.StartLogin(t.Context(), tid, again); !errors.Is(err, ErrLoginUsed) {
		t.Fatalf("another browser: %v", err)
	}
	if l, err = n.TakeLogin(t.Context(), tid, []byte("this browser")); err != nil || l.Nonce != "n" {
		t.Fatalf("%+v, %v", l, err)
	}
	if _, err = n.TakeLogin(t.Context(), tid, []byte("this browser")); !errors.Is(err, ErrLoginUsed) {
		t.Fatalf("taken twice: %v", err)
	}
	if _, err = n.StartLogin(t.Context(), tid, login()); !errors.Is(err, ErrLoginUsed) {
		t.Fatalf("back button: %v", err)
	}
}

func TestSec_A02_AnotherBrowserKillsTheLogin(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	tid := [16]byte{2}
	if _, err := n.StartLogin(t.Context(), tid, login()); err != nil {
		t.Fatal(err)
	}
	l, err := n.TakeLogin(t.Context(), tid, []byte("victim"))
	if !errors.Is(err, ErrOtherBrowser) || l.Request.Client != client {
		t.Fatalf("%+v, %v", l, err)
	}
	if _, err := n.TakeLogin(t.Context(), tid, []byte("this browser")); !errors.Is(err, ErrLoginUsed) {
		t.Fatalf("the attacker's own browser can still use it: %v", err)
	}
}

func TestSec_C10_LoginIsSingleUseAndShort(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	tid := [16]byte{3}
	if _, err := n.StartLogin(t.Context(), tid, login()); err != nil {
		t.Fatal(err)
	}
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if _, err := n.TakeLogin(t.Context(), tid, []byte("this browser")); err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d callbacks completed one login", won.Load())
	}
	tid = [16]byte{4}
	if _, err := n.StartLogin(t.Context(), tid, login()); err != nil {
		t.Fatal(err)
	}
	n.clock.Advance(LoginLife)
	if _, err := n.TakeLogin(t.Context(), tid, []byte("this browser")); !errors.Is(err, ErrLoginGone) {
		t.Fatalf("after ten minutes: %v", err)
	}
}
