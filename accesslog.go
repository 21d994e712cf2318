// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"log/slog"
	"net/http"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// logHere keeps a request out of the access log of the web server, which would hold
// codes, states or tokens, and writes it down without its query when done is called. Of
// refusals only so many a second are written.
func (in *instance) logHere(w http.ResponseWriter, r *http.Request, ref string) (rec http.ResponseWriter, done func()) {
	caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	began := clock.System()
	status := &statusWriter{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	return status, func() {
		now := clock.System()
		attrs := []any{
			"method", plain(r.Method), "host", plain(r.Host), "path", plain(originalPath(r)), "status", status.status,
			"client_ip", clientAddress(r).String(), "ref", ref, "duration", now.Sub(began),
		}
		if status.status >= http.StatusBadRequest {
			ok, dropped := in.refusals.take(now)
			if !ok {
				return
			}
			attrs = withDropped(attrs, dropped)
		}
		in.log.InfoContext(r.Context(), "handled request", attrs...)
	}
}

// logRefused writes a refusal down. Its reference id goes to the access log, too. What is
// refused may have a token or a code in its query, in whatever spelling, and is then kept
// out of the access log.
func (in *instance) logRefused(w http.ResponseWriter, r *http.Request, err error, ref string) (rec http.ResponseWriter, done func()) {
	in.logRefusal(r, err, ref)
	if r.URL.RawQuery != "" {
		return in.logHere(w, r, ref)
	}
	if ctx := r.Context(); logsAccess(ctx) {
		addLogFields(ctx, zap.String("mcp_ref", ref))
	}
	return w, func() {}
}

// logRefusal writes the cause down under the reference id. What any stranger can provoke
// is for debugging alone; of what could not be decided only so much a second is written.
func (in *instance) logRefusal(r *http.Request, err error, ref string) {
	ctx, level, message := r.Context(), slog.LevelWarn, "request could not be decided"
	if e := oauth.AsError(err); e != nil && e.Status < http.StatusInternalServerError || ctx.Err() != nil {
		level, message = slog.LevelDebug, "request refused"
	}
	if !in.log.Enabled(ctx, level) {
		return
	}
	attrs := []any{"path", plain(originalPath(r)), "ref", ref, "error", plain(err.Error())}
	if level == slog.LevelWarn {
		ok, dropped := in.undecided.take(clock.System())
		if !ok {
			return
		}
		attrs = withDropped(attrs, dropped)
	}
	in.log.Log(ctx, level, message, attrs...)
}

func withDropped(attrs []any, dropped int) []any {
	if dropped > 0 {
		attrs = append(attrs, "lines_dropped", dropped)
	}
	return attrs
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
