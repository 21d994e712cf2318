// SPDX-License-Identifier: Apache-2.0

package guard

import "net/http"

// stripOwn removes the header with a name if the guard alone may set it, or a backend
// could take it for one of those.
func (t *Target) stripOwn(h http.Header, name string) {
	for _, own := range t.own {
		if isAlias(name, own) {
			delete(h, name)
			return
		}
	}
}

// isAlias tells whether name is canonical, or software that maps header names to variables
// could take it for that: X_User and X.User become what X-User becomes. Separators around
// a name count for nothing.
func isAlias(name, canonical string) bool {
	if len(name) < len(canonical) || !separator(name[0]) && lower(name[0]) != lower(canonical[0]) {
		return false
	}
	for name != "" && separator(name[0]) {
		name = name[1:]
	}
	for name != "" && separator(name[len(name)-1]) {
		name = name[:len(name)-1]
	}
	if len(name) != len(canonical) {
		return false
	}
	for i := range len(name) {
		a, b := name[i], canonical[i]
		if lower(a) != lower(b) && (!separator(a) || !separator(b)) {
			return false
		}
	}
	return true
}

func separator(c byte) bool {
	return (lower(c) < 'a' || lower(c) > 'z') && (c < '0' || c > '9') && c < 0x80
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
