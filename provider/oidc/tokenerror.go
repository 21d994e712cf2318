// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// TokenError is an answer of the token endpoint that is not 200. It keeps what may be
// logged: codes and correlation ids, and not error_description, in which providers put
// e-mail addresses.
type TokenError struct {
	// Status is the HTTP status.
	Status int
	// Code is the OAuth error code; "" where the body is not an error of RFC 6749 §5.2.
	Code string
	// Suberror, Numbers, CorrelationID and TraceID are members that Microsoft adds.
	Suberror               string
	Numbers                []int
	CorrelationID, TraceID string
}

// Error implements error.
func (e *TokenError) Error() string {
	parts := []string{fmt.Sprintf("token endpoint answered status %d, error %q", e.Status, e.Code)}
	for _, part := range []struct{ name, value string }{
		{"suberror", e.Suberror}, {"correlation id", e.CorrelationID}, {"trace id", e.TraceID},
	} {
		if part.value != "" {
			parts = append(parts, fmt.Sprintf("%s %q", part.name, part.value))
		}
	}
	if len(e.Numbers) > 0 {
		parts = append(parts, fmt.Sprintf("codes %v", e.Numbers))
	}
	if e.Code == "invalid_client" {
		parts = append(parts, "check client_id and client_secret")
	}
	return strings.Join(parts, ", ")
}

// harmless is what a code or an id may consist of; anything else is dropped, because it
// ends in logs and, as a reference, on pages.
var harmless = regexp.MustCompile(`^[0-9A-Za-z_.-]{1,64}$`)

// parseTokenError reads what it can: a member of an unexpected type does not hide the
// others.
func parseTokenError(status int, body []byte) *TokenError {
	e := &TokenError{Status: status}
	var members Claims
	if json.Unmarshal(body, &members) != nil {
		return e
	}
	word := func(name string) string {
		if s := members.String(name); harmless.MatchString(s) {
			return s
		}
		return ""
	}
	e.Code, e.Suberror = word("error"), word("suberror")
	e.CorrelationID, e.TraceID = word("correlation_id"), word("trace_id")
	if json.Unmarshal(members["error_codes"], &e.Numbers) != nil {
		e.Numbers = nil
	}
	return e
}
