// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

// large is the size of one body, and most the memory that Caddy may take more than before
// while it passes several of them: less than one in whole.
const (
	large = 100 << 20
	most  = 64 << 20
)

// largeBody is one that no compression makes smaller and no two of which are alike.
func largeBody(seed byte) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), large)
}

func digest(t testing.TB, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if n, err := io.Copy(h, r); err != nil || n != large {
		t.Errorf("%d bytes of the body, %v", n, err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// bodies is a backend that answers a POST with the digest of its body, and a GET with a
// large body of its own.
func bodies(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		seed, _ := strconv.Atoi(r.URL.Query().Get("seed"))
		_, _ = io.Copy(w, largeBody(byte(seed)))
		return
	}
	h := sha256.New()
	_, _ = io.Copy(h, r.Body)
	fmt.Fprint(w, hex.EncodeToString(h.Sum(nil)))
}

// Large bodies arrive as they were sent, in both directions and several at once, and
// nobody holds them in memory.
func TestLargeBodies(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(version, func(t *testing.T) {
			w := newWorld(t)
			w.backend = record(t, http.HandlerFunc(bodies))
			w.start(globals(bothVersions) + w.site(""))
			token := w.raw(w.issuer).signIn(w.resource).access
			if version == "HTTP/2" {
				w = w.h2()
			}
			before := w.peak()
			var both sync.WaitGroup
			for seed := range byte(2) {
				both.Go(func() { w.upload(seed, token) })
				both.Go(func() { w.download(seed, token) })
			}
			both.Wait()
			if after := w.peak(); after-before > most {
				t.Errorf("Caddy took %d MB more for bodies of %d MB", (after-before)>>20, large>>20)
			}
		})
	}
}

func (w *world) upload(seed byte, token string) {
	resp, err := w.exchange(http.MethodPost, w.resource, largeBody(seed), token)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if want := digest(w.t, largeBody(seed)); err != nil || string(got) != want {
		w.t.Errorf("the body arrived as %d %.100s, %v", resp.StatusCode, got, err)
	}
}

func (w *world) download(seed byte, token string) {
	resp, err := w.exchange(http.MethodGet, w.resource+"?seed="+strconv.Itoa(int(seed)), nil, token)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer resp.Body.Close()
	w.checkVersion(resp)
	if got := digest(w.t, resp.Body); got != digest(w.t, largeBody(seed)) {
		w.t.Errorf("another body came back, status %d", resp.StatusCode)
	}
}

// exchange makes a request with a token.
func (w *world) exchange(method, target string, body io.Reader, token string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(w.ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return w.transport.RoundTrip(req)
}

// peak is the most memory that Caddy has had so far, in bytes, where the system tells.
func (w *world) peak() int {
	w.t.Helper()
	if runtime.GOOS != "linux" {
		return 0
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.caddy.PID()))
	if err != nil {
		w.t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindSubmatch(status)
	if m == nil {
		w.t.Fatalf("no VmHWM in %s", status)
	}
	kilobytes, err := strconv.Atoi(string(m[1]))
	if err != nil {
		w.t.Fatal(err)
	}
	return kilobytes << 10
}

// odd is what a parser would stumble over: duplicate members, members that differ in
// case, escapes, invalid UTF-8, what comes after the end.
var odd = [][]byte{
	[]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call","method":"x"}`),
	[]byte("{\"a\":\"\\u0000\\ud800\",\"b\":1e999}\r\n\x00trailing"),
	{0xff, 0xfe, 0x00, '{', '}'},
	[]byte("   \n[1,\n2]\t"),
	[]byte(`access_token=mcpo_at_x&method=a`),
	{},
}

// The guard reads no body, so that there is nothing that it and the backend could
// understand differently: each byte arrives, whatever the headers say about them.
func TestSec_J16_BodiesArePassedUnread(t *testing.T) {
	t.Parallel()
	w, got := newWorld(t), make(chan []byte, 1)
	w.backend = record(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- body
	}))
	w.start(w.caddyfile(""))
	token := w.raw(w.issuer).signIn(w.resource).access
	for _, body := range odd {
		for _, contentType := range []string{"application/json", "application/x-www-form-urlencoded", "text/plain"} {
			a := w.send(http.MethodPost, w.resource, http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {contentType}}, string(body))
			if a.status != http.StatusOK {
				t.Fatalf("%q: %d %s", body, a.status, a.body)
			}
			if arrived := receive(t, got, "the body arrives"); !bytes.Equal(arrived, body) {
				t.Errorf("%q arrived as %q", body, arrived)
			}
		}
	}
}
