// SPDX-License-Identifier: Apache-2.0

// Package oauth is the vocabulary of the protocol: error codes and their one writer,
// the documents of discovery and registration, scopes, resource identifiers and the
// rules for redirect URIs. It decides nothing and stores nothing.
package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Code is an OAuth error code. The registry is RFC 6749 §11.4 and its successors.
type Code string

// The codes that this server answers with, and where each is defined.
const (
	InvalidRequest          Code = "invalid_request"           // RFC 6749 §5.2, RFC 6750 §3.1
	InvalidClient           Code = "invalid_client"            // RFC 6749 §5.2
	InvalidGrant            Code = "invalid_grant"             // RFC 6749 §5.2
	UnauthorizedClient      Code = "unauthorized_client"       // RFC 6749 §5.2
	UnsupportedGrantType    Code = "unsupported_grant_type"    // RFC 6749 §5.2
	UnsupportedResponseType Code = "unsupported_response_type" // RFC 6749 §4.1.2.1
	InvalidScope            Code = "invalid_scope"             // RFC 6749 §5.2
	AccessDenied            Code = "access_denied"             // RFC 6749 §4.1.2.1
	ServerError             Code = "server_error"              // RFC 6749 §4.1.2.1
	TemporarilyUnavailable  Code = "temporarily_unavailable"   // RFC 6749 §4.1.2.1
	InvalidToken            Code = "invalid_token"             // RFC 6750 §3.1
	InsufficientScope       Code = "insufficient_scope"        // RFC 6750 §3.1
	InvalidTarget           Code = "invalid_target"            // RFC 8707 §2
	InvalidRedirectURI      Code = "invalid_redirect_uri"      // RFC 7591 §3.2.2
	InvalidClientMetadata   Code = "invalid_client_metadata"   // RFC 7591 §3.2.2
	InteractionRequired     Code = "interaction_required"      // OpenID Connect Core §3.1.2.6
	NotFound                Code = "not_found"                 // ours: no such document
)

// Error is a definite no: what the client is told, and a cause that only the log sees.
// Builders copy, so package-level values may be shared.
type Error struct {
	Code Code
	// Description is a fixed text in the character set of RFC 6749 §5.2 (no quotes, no
	// backslash); it never contains input.
	Description string
	// Status is the HTTP status; zero means 400.
	Status int
	// RetryAfter is written as a header when positive; whole seconds.
	RetryAfter time.Duration
	// Allow is the Allow header of a 405.
	Allow string
	// Ref is the reference id of what the error is about. The answer has it in place of that
	// of the request; the description names it, too.
	Ref string

	cause error
}

// New returns an Error with the status that the code has where RFC 6749 §5.2 and
// RFC 6750 §3.1 name one: 401 for invalid_client and invalid_token, 403 for
// insufficient_scope and access_denied, 503 for temporarily_unavailable, 404 for
// not_found, 500 for server_error, otherwise 400.
func New(code Code, description string) *Error {
	return &Error{Code: code, Description: description, Status: statusOf(code)}
}

func statusOf(code Code) int {
	switch code {
	case InvalidClient, InvalidToken:
		return http.StatusUnauthorized
	case InsufficientScope, AccessDenied:
		return http.StatusForbidden
	case NotFound:
		return http.StatusNotFound
	case ServerError:
		return http.StatusInternalServerError
	case TemporarilyUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

// Error implements error for logs; it includes the cause and must not reach a client.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Description, e.cause)
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Description)
}

// Unwrap returns the private cause.
func (e *Error) Unwrap() error { return e.cause }

// Is matches any *Error with the same code, so errors.Is(err, oauth.New(InvalidGrant, ""))
// works whatever the description.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// WithCause returns a copy that carries a private cause.
func (e *Error) WithCause(cause error) *Error { c := *e; c.cause = cause; return &c }

// WithStatus returns a copy with another HTTP status.
func (e *Error) WithStatus(status int) *Error { c := *e; c.Status = status; return &c }

// WithRetryAfter returns a copy that tells the client when to come back.
func (e *Error) WithRetryAfter(d time.Duration) *Error { c := *e; c.RetryAfter = d; return &c }

// About returns a copy whose description is text with a reference id, which is written
// again as the ref of the answer. text has no full stop.
func (e *Error) About(ref, text string) *Error {
	c := *e
	c.Ref, c.Description = ref, text+"."
	if ref != "" {
		c.Description = text + "; reference " + ref + "."
	}
	return &c
}

// AsError returns the definite no inside err, or nil where the outcome is unknown.
func AsError(err error) *Error {
	// Nearly every error is a plain chain, and following one allocates nothing.
	for at := err; at != nil; at = errors.Unwrap(at) {
		if e, ok := at.(*Error); ok { //nolint:errorlint // this is the loop that it asks for
			return e
		}
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// Unavailable is what an unknown outcome becomes on the wire: 503 with Retry-After,
// never 401 and never invalid_grant, so that an outage logs nobody out. Clients decide
// by the JSON error code, and keep their tokens only for this one.
func Unavailable(cause error) *Error {
	return New(TemporarilyUnavailable, "The server cannot answer right now. Try again shortly.").
		WithRetryAfter(5 * time.Second).WithCause(cause)
}
