// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// HSTS is the Strict-Transport-Security (RFC 6797) of answers over https: a year, this
// host alone.
const HSTS = "max-age=31536000"

// harden sets what every answer of the authorization server carries.
func (s *Server) harden(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if s.https {
		h.Set("Strict-Transport-Security", HSTS)
	}
}

// allowAnyOrigin opens an endpoint to scripts of any origin, without credentials.
func allowAnyOrigin(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, Retry-After")
}

// preflight answers a CORS preflight. "*" does not cover Authorization, so the requested
// headers are echoed; without credentials that opens nothing.
func preflight(w http.ResponseWriter, r *http.Request, methods []string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", ")+", OPTIONS")
	if asked := r.Header.Get("Access-Control-Request-Headers"); headerList(asked) {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Add("Vary", "Access-Control-Request-Headers")
	h.Set("Access-Control-Max-Age", "600")
	h.Set("Allow", strings.Join(methods, ", ")+", OPTIONS")
	w.WriteHeader(http.StatusNoContent)
}

// headerList tells whether s is a list of header names and nothing else.
func headerList(s string) bool {
	if s == "" || len(s) > 1024 {
		return false
	}
	return strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-_, ") == ""
}

const (
	maxBody    = 16 << 10         // bytes of any request body
	bodyBudget = 10 * time.Second // for the whole of it
)

// limitBody bounds what a client may send and how long it may take in all. The server's
// own idle timeout starts anew with every read, so a trickle would live for ever; this
// budget does not, and the reader fails once it is spent even if the deadline was moved.
func limitBody(w http.ResponseWriter, r *http.Request) (release func()) {
	if r.Body == nil || r.Body == http.NoBody {
		return func() {}
	}
	body := &budgeted{ReadCloser: http.MaxBytesReader(w, r.Body, maxBody)}
	r.Body = body
	rc := http.NewResponseController(w)
	body.timer = time.AfterFunc(bodyBudget, func() {
		body.spent.Store(true)
		_ = rc.SetReadDeadline(time.Unix(1, 0))
	})
	return func() {
		// What is refused unread is still on its way, and over HTTP/1 the server would wait for
		// its rest before it answers: that wait is part of the budget.
		if r.ProtoMajor == 1 {
			_, _ = io.Copy(io.Discard, body)
		}
		body.timer.Stop()
	}
}

type budgeted struct {
	io.ReadCloser
	timer *time.Timer
	spent atomic.Bool
}

// Read stops the clock at the end of the body: a deadline that strikes while the request
// is being worked on would look like a client that went away, and cancel it.
func (b *budgeted) Read(p []byte) (int, error) {
	if b.spent.Load() {
		return 0, errTooSlow
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.timer.Stop()
	}
	return n, err
}
