// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/base32"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// wireError is the JSON object of RFC 6749 §5.2 with our reference id.
type wireError struct {
	Code        Code   `json:"error"`
	Description string `json:"error_description,omitempty"`
	Ref         string `json:"ref,omitempty"`
}

// WriteError answers with err as JSON; it is the one place that writes an error status
// of the OAuth endpoints. A definite no (*Error) keeps its code and status, any other
// error is an unknown outcome and becomes Unavailable. ref is the reference id under
// which the log explains more, or ""; an error that is about something with a reference
// has that one. A WWW-Authenticate header must be set before.
func WriteError(w http.ResponseWriter, err error, ref string) {
	e := AsError(err)
	if e == nil {
		e = Unavailable(err)
	}
	h := w.Header()
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
	}
	if e.Allow != "" {
		h.Set("Allow", e.Allow)
	}
	if e.Ref != "" {
		ref = e.Ref
	}
	setHeaders(h, "Cache-Control", "no-store")
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	writeBody(w, status, wireError{Code: e.Code, Description: e.Description, Ref: ref}.json())
}

// json is what json.Marshal returns. The texts are nearly always constants without a
// character to escape, and refusals are what a flood consists of.
func (e wireError) json() []byte {
	if !verbatim(string(e.Code)) || !verbatim(e.Description) || !verbatim(e.Ref) || e.Description == "" || e.Ref == "" {
		body, _ := json.Marshal(e) // three strings cannot fail
		return body
	}
	b := make([]byte, 0, 128)
	b = append(append(b, `{"error":"`...), e.Code...)
	b = append(append(b, `","error_description":"`...), e.Description...)
	b = append(append(b, `","ref":"`...), e.Ref...)
	return append(b, `"}`...)
}

// verbatim tells whether JSON, as json.Marshal writes it, has s as it is.
func verbatim(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

// WriteJSON answers with v. Unless the caller has set Cache-Control the answer must not
// be stored: RFC 6749 §5.1 demands it of whatever carries a token, and RFC 7591 §3.2.1
// shows it for registrations. v must be one of the wire types of this package or one that
// cannot fail to marshal; a failure is answered as server_error.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
		w.Header().Set("Cache-Control", "no-store")
	}
	writeBody(w, status, body)
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	setHeaders(h, "Content-Type", "application/json", "X-Content-Type-Options", "nosniff", "Content-Length", strconv.Itoa(len(body)+1))
	// RFC 6749 §5.1: "The authorization server MUST include the HTTP "Cache-Control"
	// response header field with a value of "no-store" ... as well as the "Pragma"
	// response header field with a value of "no-cache"."
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	if h.Get("Cache-Control") == "no-store" {
		setHeaders(h, "Pragma", "no-cache")
	}
	w.WriteHeader(status)
	// A failed write means that the client has gone; there is nobody left to tell.
	_, _ = w.Write(append(body, '\n'))
}

// setHeaders sets headers by their canonical names. The values are one piece of memory:
// refusals are what a flood consists of.
func setHeaders(h http.Header, pairs ...string) {
	values := make([]string, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		values = append(values, pairs[i+1])
		n := len(values)
		h[pairs[i]] = values[n-1 : n : n]
	}
}

// refEncoding is base32 without the letters that people confuse when they read an id
// aloud (i, l, o, u).
var refEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewRef returns a reference id of 16 characters: random, so that it tells nothing, and
// short enough to be read to an administrator. It is "" when rand fails, which writers
// treat as no reference.
func NewRef(rand io.Reader) string {
	var b [10]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return ""
	}
	return refEncoding.EncodeToString(b[:])
}
