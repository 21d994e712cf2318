// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"crypto/sha256"
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
// while it passes two of them: less than one in whole.
const (
	large = 100 << 20
	most  = 80 << 20
)

// largeBody is one that no compression makes smaller.
func largeBody() io.Reader { return io.LimitReader(rand.NewChaCha8([32]byte{1}), large) }

// digest is the SHA-256 of all that r has, with its length.
func digest(r io.Reader) string {
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d bytes, %x", n, h.Sum(nil))
}

var largeDigest = sync.OnceValue(func() string { return digest(largeBody()) })

// bodies is a backend that answers a POST with the digest of its body, and a GET with a
// large body of its own.
func bodies(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		_, _ = io.Copy(w, largeBody())
		return
	}
	fmt.Fprint(w, digest(r.Body))
}

// Large bodies arrive as they were sent, in both directions at once, and nobody holds them
// in memory.
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
			both.Go(func() { w.upload(token) })
			both.Go(func() { w.download(token) })
			both.Wait()
			more := w.peak() - before
			t.Logf("Caddy took %d MB more for bodies of %d MB", more>>20, large>>20)
			if more > most {
				t.Error("that is as if it held them in memory")
			}
		})
	}
}

func (w *world) upload(token string) {
	resp, err := w.exchange(http.MethodPost, largeBody(), token)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != largeDigest() {
		w.t.Errorf("the body arrived as %d %.100s, %v", resp.StatusCode, got, err)
	}
}

func (w *world) download(token string) {
	resp, err := w.exchange(http.MethodGet, nil, token)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer resp.Body.Close()
	w.checkVersion(resp)
	if got := digest(resp.Body); got != largeDigest() {
		w.t.Errorf("what came back is %s, status %d", got, resp.StatusCode)
	}
}

// exchange makes a request with a token.
func (w *world) exchange(method string, body io.Reader, token string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(w.ctx, method, w.resource, body)
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
