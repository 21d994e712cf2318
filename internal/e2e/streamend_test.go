// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"net/http"
	"testing"
)

// ends waits for the end of a stream and makes sure that it is a proper one: the client
// sees the end of the answer, not a broken connection.
func ends(t *testing.T, stream *bufio.Scanner) {
	t.Helper()
	end := make(chan error, 1)
	go func() {
		for stream.Scan() {
		}
		end <- stream.Err()
	}()
	if err := receive(t, end, "the end of the stream"); err != nil {
		t.Errorf("the stream broke: %v", err)
	}
}

// A sign-in that is revoked takes its open streams along, and the backend hears of it.
func TestRevocationCutsStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.streams()
	w.start(w.caddyfile(""))
	c := w.raw(w.issuer)
	a := c.begin(w.resource)
	code := a.code()
	got := c.tokensOf(a.redeem(code))
	stream := w.listen(w.ctx, http.MethodPost, got.access)
	s.say(t, stream, "one")
	if again := a.redeem(code); again.status != http.StatusBadRequest {
		t.Fatalf("the code was taken twice: %d %s", again.status, again.body)
	}
	receive(t, s.gone, "the backend hears of the end")
	ends(t, stream)
	w.refuses(w.resource, w.origin+"/.well-known/oauth-protected-resource/mcp", got.access)
}

// A stream ends at its age, and a session has only so many; what accepts no stream goes
// on.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.streams()
	w.start(w.caddyfile("streams {\nmax_age 3s\nper_session 1\n}\n"))
	got := w.raw(w.issuer).signIn(w.resource)
	stream := w.listen(w.ctx, http.MethodGet, got.access)
	h := http.Header{"Authorization": {"Bearer " + got.access}, "Accept": {"text/event-stream"}}
	if over := w.send(http.MethodGet, w.resource, h, ""); over.status != http.StatusTooManyRequests ||
		over.header.Get("Retry-After") == "" || over.header.Get("WWW-Authenticate") != "" {
		t.Errorf("a second stream: %d %v", over.status, over.header)
	}
	s.say(t, stream, "one")
	ends(t, stream)
	receive(t, s.gone, "the backend hears of the end")
}

// A stream goes on after the end of its access token, or ends with it, as the configuration
// says; and the token is refused either way.
func TestStreamsUntil(t *testing.T) {
	t.Parallel()
	for _, until := range []string{"session", "token"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(until+" "+method, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				s := newStreamer()
				w.backend = record(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method != http.MethodHead {
						s.ServeHTTP(w, r)
					}
				}))
				w.start(w.caddyfile("streams {\nuntil " + until + "\n}\ntokens {\naccess 6s\n}\n"))
				w.refuses(w.resource, w.origin+"/.well-known/oauth-protected-resource/mcp", "mcpo_at_x")
				got := w.raw(w.issuer).signIn(w.resource)
				stream := w.listen(w.ctx, method, got.access)
				s.say(t, stream, "one")
				if until == "token" {
					receive(t, s.gone, "the backend hears of the end")
					ends(t, stream)
				}
				eventually(t, "the token ends", func() bool {
					h := http.Header{"Authorization": {"Bearer " + got.access}}
					return w.send(http.MethodHead, w.resource, h, "").status == http.StatusUnauthorized
				})
				if until == "session" {
					s.say(t, stream, "after the end of the token")
				}
			})
		}
	}
}
