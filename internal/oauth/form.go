// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// FormType is the media type of requests to the token endpoint (RFC 6749 §3.2).
const FormType = "application/x-www-form-urlencoded"

// AnyRepeat among the repeatable parameters lets the caller judge repeats itself.
const AnyRepeat = "*"

// maxParams bounds how many parameters a request may have.
const maxParams = 40

// ParseForm reads the parameters of a POST request. The error is an *Error with
// invalid_request. The body must be of FormType and at most maxBytes long, and no
// parameter may be repeated but those named by repeatable (RFC 8707 §2 lets resource be).
// A query is refused, so that no secret travels in a URL.
func ParseForm(r *http.Request, maxBytes int64, repeatable ...string) (url.Values, error) {
	if r.URL.RawQuery != "" {
		return nil, New(InvalidRequest, "Parameters belong into the body, not into the URL.")
	}
	body, err := ReadBody(r, FormType, maxBytes)
	if err != nil {
		return nil, err
	}
	return ParseQuery(string(body), repeatable...)
}

// ParseQuery reads urlencoded parameters: valid UTF-8, no NUL, whole percent-encoding, at
// most 40 of them, none repeated but those named by repeatable. The error is an *Error
// with invalid_request.
func ParseQuery(raw string, repeatable ...string) (url.Values, error) {
	if strings.Count(raw, "&") >= maxParams {
		return nil, New(InvalidRequest, "The request has too many parameters.")
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, New(InvalidRequest, "The parameters are not urlencoded.")
	}
	for name, vs := range values {
		if !plainText(name) || slices.ContainsFunc(vs, func(v string) bool { return !plainText(v) }) {
			return nil, New(InvalidRequest, "The parameters are not valid UTF-8, or have a NUL in them.")
		}
		// RFC 6749 §3.1: "Request and response parameters MUST NOT be included more
		// than once."
		if len(vs) > 1 && !slices.Contains(repeatable, name) && !slices.Contains(repeatable, AnyRepeat) {
			return nil, New(InvalidRequest, "A parameter is repeated.")
		}
	}
	return values, nil
}

func plainText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// ReadBody reads the body of a request of the given media type, whose parameters
// (charset) do not matter, at most maxBytes long and not compressed. A wrong type is
// invalid_request with 400: clients treat 415 as final.
func ReadBody(r *http.Request, mediaType string, maxBytes int64) ([]byte, error) {
	if !hasMediaType(r.Header.Values("Content-Type"), mediaType) {
		return nil, New(InvalidRequest, "The content type must be "+mediaType+".")
	}
	// A compressed body could grow without bound when it is read.
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, New(InvalidRequest, "The body must not be compressed.")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBytes+1))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) || int64(len(body)) > maxBytes {
		return nil, New(InvalidRequest, "The body is too long.").WithStatus(http.StatusRequestEntityTooLarge)
	}
	if err != nil {
		return nil, New(InvalidRequest, "The body could not be read.").WithCause(err)
	}
	return body, nil
}

func hasMediaType(values []string, want string) bool {
	if len(values) != 1 {
		return false
	}
	got, _, err := mime.ParseMediaType(values[0])
	return got == want && (err == nil || errors.Is(err, mime.ErrInvalidMediaParameter))
}
