// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// withEncode compresses what the site answers, as many sites do.
func withEncode(config string) string {
	return strings.Replace(config, "mcp_oauth {", "encode zstd gzip\nmcp_oauth {", 1)
}

// checkVersion makes sure that an answer came over the version that the world speaks.
func (w *world) checkVersion(resp *http.Response) {
	w.t.Helper()
	want := 1
	if own, ok := w.transport.(*http.Transport); ok && own.Protocols != nil && own.Protocols.UnencryptedHTTP2() {
		want = 2
	}
	if resp.ProtoMajor != want {
		w.t.Errorf("the answer came over %s", resp.Proto)
	}
}

// h2 is a world whose requests go over HTTP/2, where Caddy speaks it without TLS.
func (w *world) h2() *world {
	own := &http.Transport{Protocols: new(http.Protocols)}
	own.Protocols.SetUnencryptedHTTP2(true)
	w.t.Cleanup(own.CloseIdleConnections)
	v := *w
	v.transport = own
	return &v
}

// bothVersions are the options with which Caddy speaks HTTP/1.1 and HTTP/2 without TLS.
const bothVersions = "servers {\nprotocols h1 h2c\n}\n"

// beginStream opens a stream at the resource and returns its events as they come, whether they
// are compressed or not.
func (w *world) beginStream(ctx context.Context, method, token string) *bufio.Scanner {
	w.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, w.resource, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + token}, "Accept": {"text/event-stream"}, "Accept-Encoding": {"gzip"}}
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		w.t.Fatalf("stream: %d %v", resp.StatusCode, resp.Header)
	}
	w.checkVersion(resp)
	if resp.Header.Get("Content-Encoding") != "gzip" {
		return bufio.NewScanner(resp.Body)
	}
	return bufio.NewScanner(&unzip{from: resp.Body})
}

// unzip decompresses a body that has not begun yet.
type unzip struct {
	from io.Reader
	zip  *gzip.Reader
}

// Read implements io.Reader.
func (u *unzip) Read(p []byte) (int, error) {
	if u.zip == nil {
		zip, err := gzip.NewReader(u.from)
		if err != nil {
			return 0, err
		}
		u.zip = zip
	}
	return u.zip.Read(p)
}

// Each event arrives before the next one is made, over HTTP/1.1 and HTTP/2, with and
// without compression, and the backend's request ends when the client has gone.
func TestEventsAreNotHeldBack(t *testing.T) {
	t.Parallel()
	for name, encoded := range map[string]bool{"plain": false, "encode": true} {
		for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				t.Run(name+" "+version+" "+method, func(t *testing.T) {
					t.Parallel()
					w := newWorld(t)
					s := w.streams()
					config := globals(bothVersions) + w.site("")
					if encoded {
						config = withEncode(config)
					}
					w.start(config)
					token := w.raw(w.issuer).signIn(w.resource).access
					if version == "HTTP/2" {
						w = w.h2()
					}
					ctx, hangUp := context.WithTimeout(w.ctx, patience)
					defer hangUp()
					stream := w.beginStream(ctx, method, token)
					for _, event := range []string{"one", "two", strings.Repeat("long ", 10_000), "four"} {
						s.say(t, stream, event)
					}
					hangUp()
					receive(t, s.gone, "the backend hears of it")
				})
			}
		}
	}
}

// A client that gives up before there is an answer is heard of at the backend, too: for
// the current transport that is how a call is cancelled.
func TestHangUpBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			arrived, gone := make(chan struct{}), make(chan struct{})
			w.backend = record(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				close(arrived)
				<-r.Context().Done()
				close(gone)
			}))
			w.start(globals(bothVersions) + w.site(""))
			token := w.raw(w.issuer).signIn(w.resource).access
			if version == "HTTP/2" {
				w = w.h2()
			}
			ctx, hangUp := context.WithTimeout(w.ctx, patience)
			defer hangUp()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.resource, strings.NewReader(`{"jsonrpc":"2.0"}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+token)
			ended := make(chan error, 1)
			go func() {
				resp, err := w.transport.RoundTrip(req)
				if err == nil {
					resp.Body.Close()
				}
				ended <- err
			}()
			receive(t, arrived, "the request arrives")
			hangUp()
			receive(t, gone, "the backend hears of it")
			if err := receive(t, ended, "the request ends"); err == nil {
				t.Error("there was an answer")
			}
		})
	}
}
