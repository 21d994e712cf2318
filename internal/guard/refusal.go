// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"errors"
	"net/http"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// refusal is a definite no with what the challenge needs.
type refusal struct {
	err *oauth.Error
	// challenge tells that the answer carries WWW-Authenticate.
	challenge bool
	// silent tells that the challenge has no error code. RFC 6750 §3.1: "If the request
	// lacks any authentication information ... the resource server SHOULD NOT include an
	// error code or other error information".
	silent bool
	// granted are the scopes that the token has; for insufficient_scope.
	granted oauth.Scopes
}

// Error implements error.
func (r *refusal) Error() string { return r.err.Error() }

// Unwrap returns the *oauth.Error.
func (r *refusal) Unwrap() error { return r.err }

func no(code oauth.Code, description string) *refusal {
	return &refusal{err: oauth.New(code, description), challenge: true}
}

var (
	errNoToken        = &refusal{err: oauth.New(oauth.InvalidToken, "This resource needs an access token in the Authorization header."), challenge: true, silent: true}
	errMalformed      = no(oauth.InvalidToken, "The access token is malformed.")
	errSeveralHeaders = no(oauth.InvalidRequest, "The request has more than one Authorization header.")
	errTokenInQuery   = no(oauth.InvalidRequest, "Access tokens must not be in the query; send the Authorization header.")
	errQuery          = no(oauth.InvalidRequest, "The query is malformed.")
	errExpired        = no(oauth.InvalidToken, "The access token has expired.")
	errResource       = no(oauth.InvalidToken, "The access token is for another resource.")
	errPolicy         = no(oauth.InvalidToken, "This account may not use this resource.")

	errEarlyData = &refusal{err: oauth.ErrEarlyData}
	// A sign-in that holds too many streams open would gain nothing by another sign-in.
	errStreams = &refusal{err: oauth.New(oauth.TemporarilyUnavailable, "This session has too many open streams. Close one and try again.").
			WithStatus(http.StatusTooManyRequests).WithRetryAfter(5 * time.Second)}
	// A challenge would start a sign-in that cannot help.
	errOrigin = &refusal{err: oauth.New(oauth.AccessDenied, "Pages of this origin may not use this resource.")}
)

// insufficient is the no to a token that lacks scopes of the resource.
func insufficient(granted oauth.Scopes) error {
	return &refusal{
		err:       oauth.New(oauth.InsufficientScope, "The access token lacks scopes that this resource needs."),
		challenge: true, granted: granted,
	}
}

// asRefusal returns the refusal inside err. An *oauth.Error of the Lookup becomes one; it
// is nil where the outcome is unknown.
func asRefusal(err error) *refusal {
	for at := err; at != nil; at = errors.Unwrap(at) {
		if r, ok := at.(*refusal); ok { //nolint:errorlint // this is the loop that it asks for
			return r
		}
	}
	if e := oauth.AsError(err); e != nil {
		return &refusal{err: e, challenge: e.Code == oauth.InvalidToken}
	}
	return nil
}

// resultOf names a refusal for metrics; nil is an unknown outcome.
func resultOf(r *refusal) Result {
	switch {
	case r == nil:
		return Unavailable
	case r == errNoToken:
		return NoToken
	case r == errOrigin:
		return OriginRefused
	case r == errEarlyData:
		return EarlyData
	case r == errStreams:
		return TooManyStreams
	case r.err.Code == oauth.InvalidToken:
		return InvalidToken
	case r.err.Code == oauth.InsufficientScope:
		return InsufficientScope
	default:
		return InvalidRequest
	}
}

// Refuse writes the answer for an error of Admit: status, challenge and JSON. ref is the
// reference id under which the log explains more.
func (g *Guard) Refuse(w http.ResponseWriter, req Request, err error, ref string) {
	h, r := w.Header(), asRefusal(err)
	delete(h, "Www-Authenticate")
	if r != nil && r.challenge && req.Target != nil {
		// RFC 9110 §15.5.2: "The server generating a 401 response MUST send a WWW-Authenticate
		// header field". There is exactly one, and none on a 503: that would be taken for the
		// loss of the session.
		h["Www-Authenticate"] = []string{req.Target.challenge(req.Slash, r)}
	}
	if req.HTTP != nil && req.Target != nil && CheckOrigin(req.HTTP, req.Target.Resource) == nil {
		allowOrigin(h, req.HTTP.Header.Get("Origin"))
	}
	if len(h["Vary"]) == 0 {
		h["Vary"] = []string{varies}
	} else {
		addVaries(h)
	}
	oauth.WriteError(w, err, ref)
	if g.complete(req) {
		g.config.Stats.observe(req.HTTP, resultOf(r), g.config.Now().Sub(req.Began))
	}
}
