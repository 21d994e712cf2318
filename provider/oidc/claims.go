// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Claims are the members of an ID token, by their exact names.
type Claims map[string]json.RawMessage

// Has tells whether the claim is there, even as null.
func (c Claims) Has(name string) bool { _, ok := c[name]; return ok }

// find returns the claim with the name or, where there is none, the member that a dotted
// name such as "realm_access.roles" leads to; nil where there is neither.
func (c Claims) find(name string) json.RawMessage {
	if v, ok := c[name]; ok {
		return v
	}
	first, rest, nested := strings.Cut(name, ".")
	var inner Claims
	if !nested || json.Unmarshal(c[first], &inner) != nil {
		return nil
	}
	return inner.find(rest)
}

// String returns a claim that is a string; "" where it is absent or something else.
func (c Claims) String(name string) string {
	var s string
	if json.Unmarshal(c.find(name), &s) != nil {
		return ""
	}
	return s
}

// Strings returns a claim that is a list of strings or one string; nil where it is absent
// or something else.
func (c Claims) Strings(name string) []string {
	raw := c.find(name)
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	if s := c.String(name); s != "" {
		return []string{s}
	}
	return nil
}

// True tells whether a claim is true: the boolean, or the string that some providers
// send in its place.
func (c Claims) True(name string) bool {
	raw := bytes.TrimSpace(c.find(name))
	return bytes.Equal(raw, []byte("true")) || bytes.Equal(raw, []byte(`"true"`))
}

// latestDate is 9999-12-31: a number above it is not a date.
const latestDate = 253402300799

// Time returns a claim that is a NumericDate (RFC 7519 §2). It is the zero time where
// the claim is absent, and an error where it is something else.
func (c Claims) Time(name string) (time.Time, error) {
	raw, ok := c[name]
	if !ok {
		return time.Time{}, nil
	}
	var n *float64
	if err := json.Unmarshal(raw, &n); err != nil || n == nil || *n <= 0 || *n > latestDate {
		return time.Time{}, fmt.Errorf("claim %s is not a date", name)
	}
	return time.Unix(int64(*n), 0).UTC(), nil
}
