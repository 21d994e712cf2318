// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// errBackend is what a client sees when a backend refuses our JWT. Its 401 would send the
// client to sign in again, which cannot help.
var errBackend = oauth.New(oauth.ServerError, "The server behind this address did not accept the request of this proxy.").
	WithStatus(http.StatusBadGateway)

// Writer is the way back from the backend: it looks at the final status once and then
// hands everything on as it comes. It keeps flushing, hijacking and deadlines through
// http.ResponseController. Write, ReadFrom and FlushError only see to it that an implied
// status is looked at, too, and that a body which was replaced goes nowhere.
type Writer struct {
	http.ResponseWriter

	pass *Pass
	ref  func() string

	status   int
	replaced bool
}

// Wrap returns the writer and the request for the next handler. The request's context
// ends when the registry ends the stream that the answer turns out to be. ref makes a
// reference id and is called only for an answer that has one.
func (p *Pass) Wrap(w http.ResponseWriter, r *http.Request, ref func() string) (*Writer, *http.Request) {
	p.stream.ctx.parent = r.Context()
	p.writer = Writer{ResponseWriter: w, pass: p, ref: ref}
	// The copy that WithContext makes is on the stack; this is the one that stays.
	p.request = *r.WithContext(&p.stream.ctx)
	return &p.writer, &p.request
}

// WriteHeader implements http.ResponseWriter. Informational answers pass through.
func (w *Writer) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	h := w.Header()
	stripAnswer(h)
	if status >= 100 && status <= 199 && status != http.StatusSwitchingProtocols {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.status = status
	if status == http.StatusUnauthorized {
		w.replace()
		return
	}
	w.pass.answerHeaders(h)
	w.pass.register(status == http.StatusSwitchingProtocols || isEventStream(h))
	w.ResponseWriter.WriteHeader(status)
}

// register puts an answer that stays open into the registry, and takes one that does not
// out of it.
func (p *Pass) register(open bool) {
	s := &p.guard.streams
	if !open {
		s.leave(&p.stream)
		return
	}
	p.enter(0)
	s.endBy(&p.stream, p.until())
}

// replace answers 502 instead of the backend's 401, whose headers and body are dropped.
func (w *Writer) replace() {
	w.replaced = true
	w.pass.register(false)
	ref, p := w.ref(), w.pass
	p.guard.config.Events.Emit(&p.stream.ctx, event.Event{
		Kind: event.BackendRefused, Ref: ref, Client: p.Client(), Person: p.Subject(),
		Grant: hex.EncodeToString(p.entry.grant[:]), Resource: p.Resource(),
		Cause: fmt.Errorf("the backend answered 401 to the JWT: compare the issuer and audience that it expects with the iss and aud %q of the JWT", p.target.Resource.Audience),
	})
	h := w.Header()
	for name := range h {
		if !ownHeader(name) {
			delete(h, name)
		}
	}
	p.answerHeaders(h)
	oauth.WriteError(w.ResponseWriter, errBackend, ref)
}

// ownHeader tells which headers are the web server's rather than the backend's answer.
func ownHeader(name string) bool {
	switch name {
	case "Server", "Via", "Alt-Svc", "Vary", "Strict-Transport-Security":
		return true
	}
	return false
}

// Write implements io.Writer.
func (w *Writer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.replaced {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// ReadFrom implements io.ReaderFrom, so that files and pipes keep their fast paths.
func (w *Writer) ReadFrom(r io.Reader) (int64, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.replaced {
		return io.Copy(io.Discard, r)
	}
	return io.Copy(w.ResponseWriter, r)
}

// FlushError is what http.ResponseController calls. A flush before the header would send
// the header as it is, so it is completed first.
func (w *Writer) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (w *Writer) Flush() { _ = w.FlushError() }

// Unwrap is for http.ResponseController.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Status is the backend's status, zero while there is none.
func (w *Writer) Status() int { return w.status }

func isEventStream(h http.Header) bool {
	mediaType, _, _ := strings.Cut(first(h["Content-Type"]), ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), eventStream)
}

// stripAnswer removes what a backend must not say: a challenge would send the client to
// another authorization server, a cookie of ours would be planted, and a service worker
// with a wider scope would see what the pages of the authorization server do.
// CORS is answered by the guard alone.
func stripAnswer(h http.Header) {
	for name := range h {
		switch name {
		case "Www-Authenticate", "Proxy-Authenticate", "Service-Worker-Allowed":
			delete(h, name)
		case "Set-Cookie":
			stripSetCookies(h)
		case "Trailer":
			dropAnnounced(h)
		default:
			if isCORS(name) {
				delete(h, name)
			}
		}
	}
}

// What every answer of a resource says. RFC 9111 §3.5 lets shared caches store some
// answers to requests with Authorization. What a backend calls JSON must not be run as a
// page on the origin of the consent page.
var answers = [...]struct{ name, value string }{
	{"Vary", varies},
	{"Cache-Control", "private"},
	{"X-Content-Type-Options", "nosniff"},
}

// answerHeaders sets what every answer of the resource carries, unless the backend has
// said so itself. The values are in the memory of the Pass, one slice each, as a later
// handler may change them in place.
func (p *Pass) answerHeaders(h http.Header) {
	if p.origin != "" {
		allowOrigin(h, p.origin)
	}
	for i, a := range answers {
		switch {
		case len(h[a.name]) == 0:
			p.answers[i] = a.value
			h[a.name] = p.answers[i : i+1 : i+1]
		case a.name == "Vary":
			addVaries(h)
		}
	}
}
