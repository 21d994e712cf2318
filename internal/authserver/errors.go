// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/pages"
)

var (
	errNoEndpoint = oauth.New(oauth.NotFound, "There is no such endpoint.")
	errNoDocument = oauth.New(oauth.NotFound, "There is no such document.")
	errTooSlow    = errors.New("the request body took too long")
)

func methodNotAllowed(methods []string) *oauth.Error {
	e := oauth.New(oauth.InvalidRequest, "The method is not allowed here.").WithStatus(http.StatusMethodNotAllowed)
	e.Allow = strings.Join(methods, ", ")
	return e
}

// fail answers a program: JSON, by the one writer.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, c Call, err error) {
	status := http.StatusServiceUnavailable
	if e := oauth.AsError(err); e != nil {
		status = e.Status
	}
	s.record(r, c, status, err)
	oauth.WriteError(w, err, c.Ref)
}

// page answers a person.
func (s *Server) page(w http.ResponseWriter, r *http.Request, c Call, m pages.Message, cause error) {
	if cause != nil {
		s.record(r, c, m.Status, cause)
	}
	s.Pages.Message(w, m.WithRef(c.Ref))
}

// record writes the cause down under the reference id: what anybody can provoke at debug
// level, so that a stranger cannot fill a log, and unknown outcomes as warnings. Hanging up
// is something that anybody can do.
func (s *Server) record(r *http.Request, c Call, status int, err error) {
	level := slog.LevelDebug
	if status >= http.StatusInternalServerError && r.Context().Err() == nil {
		level = slog.LevelWarn
	}
	s.Log.Log(r.Context(), level, "request refused", "endpoint", c.Endpoint, "ref", c.Ref, "error", err)
}

func (s *Server) methodNotAllowed(w http.ResponseWriter, r *http.Request, c Call, e endpoint) {
	err := methodNotAllowed(e.methods)
	if e.program || prefersJSON(r) {
		s.fail(w, r, c, err)
		return
	}
	s.page(w, r, c, pages.MethodNotAllowed(err.Allow), err)
}

// prefersJSON tells programs from browsers: mcp-remote probes the authorization endpoint
// this way to see whether its registration still exists.
func prefersJSON(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html")
}

// unavailable answers a person when the outcome is unknown.
func (s *Server) unavailable(w http.ResponseWriter, r *http.Request, c Call, retry string, err error) {
	u := oauth.Unavailable(err)
	if prefersJSON(r) {
		s.fail(w, r, c, u)
		return
	}
	s.page(w, r, c, pages.Unavailable(retry, u.RetryAfter), u)
}

// stateless answers while the shared state cannot be reached.
func (s *Server) stateless(w http.ResponseWriter, r *http.Request, c Call, e endpoint, err error) {
	if e.program {
		s.fail(w, r, c, err)
		return
	}
	s.unavailable(w, r, c, s.repeat(r, c), err)
}

// repeat is the link that repeats a page's request, or "". The consent form is repeated
// from its page, since a link cannot post.
func (s *Server) repeat(r *http.Request, c Call) string {
	if c.Endpoint == "login/continue" {
		form, err := oauth.ParseForm(r, maxBody)
		if err != nil {
			return ""
		}
		return s.again("login", url.Values{"token": form["token"]})
	}
	form, repeated, err := authorizeParams(r)
	if err != nil || repeated != nil {
		return ""
	}
	return s.again(c.Endpoint, form)
}
