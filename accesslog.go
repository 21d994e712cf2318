// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// logHere keeps a request out of the access log of the web server, which would hold
// codes, states or tokens, and writes it down without its query when done is called.
func (in *instance) logHere(w http.ResponseWriter, r *http.Request, ref string) (rec http.ResponseWriter, done func()) {
	caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	began := clock.System()
	status := &statusWriter{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	return status, func() {
		in.log.InfoContext(r.Context(), "handled request",
			"method", plain(r.Method), "host", plain(r.Host), "path", plain(originalPath(r)), "status", status.status,
			"client_ip", clientAddress(r).String(), "ref", ref, "duration", clock.System().Sub(began))
	}
}

// logRefused writes a refusal down. What is refused may have a token or a code in its
// query, in whatever spelling, and is then kept out of the access log.
func (in *instance) logRefused(w http.ResponseWriter, r *http.Request, err error, ref string) (rec http.ResponseWriter, done func()) {
	in.logRefusal(r, err, ref)
	if r.URL.RawQuery == "" {
		return w, func() {}
	}
	return in.logHere(w, r, ref)
}

// logRefusal writes the cause down under the reference id. What any stranger can provoke
// is for debugging alone.
func (in *instance) logRefusal(r *http.Request, err error, ref string) {
	attrs := []any{"path", plain(originalPath(r)), "ref", ref, "error", plain(err.Error())}
	if e := oauth.AsError(err); e != nil && e.Status < http.StatusInternalServerError || r.Context().Err() != nil {
		in.log.DebugContext(r.Context(), "request refused", attrs...)
		return
	}
	in.log.WarnContext(r.Context(), "request could not be decided", attrs...)
}

// statusWriter remembers the status for the log line. Zero says that there was no answer.
type statusWriter struct {
	*caddyhttp.ResponseWriterWrapper
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements io.Writer.
func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriterWrapper.Write(b)
}
