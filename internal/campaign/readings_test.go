// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"path"
	"strings"
)

// readings are what software behind a proxy makes of the path of a request target. They
// are written down here once more on purpose, the simple way: the guard is measured
// against what others do, not against itself.
func readings(target string) []string {
	raw, _, _ := strings.Cut(target, "?")
	raw, _, _ = strings.Cut(raw, "#")
	once := unescaped(raw)
	twice := unescaped(once)
	thrice := unescaped(twice)
	all := []string{
		raw,                             // Node.js: req.url.startsWith
		once,                            // Starlette, WSGI: decoded, dots stay
		cleaned(once),                   // Go, nginx
		cleaned(unescaped(params(raw))), // Tomcat: parameters before decoding
		cleaned(params(once)),           // Jetty, Spring: after it
		cleaned(windows(once)),          // IIS
		cleaned(twice), cleaned(thrice), // a second proxy that decodes again
		cleaned(params(windows(thrice))), // all of that together
	}
	for i, p := range all {
		// JavaScript and .NET compare in upper case, which folds more letters.
		all[i] = strings.ToLower(strings.ToUpper(p))
	}
	return all
}

// unescaped decodes what is an escape and leaves the rest.
func unescaped(p string) string {
	const hex = "0123456789abcdef"
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		if p[i] == '%' && i+2 < len(p) {
			high := strings.IndexByte(hex, p[i+1]|0x20)
			low := strings.IndexByte(hex, p[i+2]|0x20)
			if high >= 0 && low >= 0 {
				b.WriteByte(byte(high<<4 | low))
				i += 2
				continue
			}
		}
		b.WriteByte(p[i])
	}
	return b.String()
}

func cleaned(p string) string { return path.Clean("/" + p) }

// params cuts what follows a semicolon off each segment.
func params(p string) string {
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return strings.Join(segments, "/")
}

// windows makes slashes of backslashes and drops dots and spaces at the end of a name.
func windows(p string) string {
	segments := strings.Split(strings.ReplaceAll(p, `\`, "/"), "/")
	for i, s := range segments {
		if s != "." && s != ".." {
			segments[i] = strings.TrimRight(s, ". ")
		}
	}
	return strings.Join(segments, "/")
}

// leadsTo tells whether somebody may take the target for something below prefix.
func leadsTo(target, prefix string) bool {
	for _, r := range readings(target) {
		if strings.HasPrefix(r, prefix) {
			return true
		}
	}
	return false
}
