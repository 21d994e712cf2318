// SPDX-License-Identifier: Apache-2.0

package route

import (
	"errors"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrPath is the error for a path that has no normal form.
var ErrPath = errors.New("path has no normal form")

// maxDecodings is how often a path may have been percent-encoded.
const maxDecodings = 3

// Normalize returns the normal form of an escaped path: case folded, percent-decoded
// until nothing changes, backslashes as slashes, without doubled slashes, dot segments,
// parameters after a semicolon, and dots and spaces at the end of a segment. A slash at
// the end stays. It is for comparison only. It returns ErrPath for an invalid percent
// sign or UTF-8, a control character, or more than three layers of encoding.
func Normalize(escaped string) (string, error) {
	if plain(escaped) {
		return escaped, nil
	}
	l, err := decode(escaped)
	if err != nil {
		return "", err
	}
	return coarse(l.last()), nil
}

// forms are the readings of one path that different software may have. A backend that
// compares beginnings and resolves nothing, as Node.js and ASGI servers do, takes a path
// as it is on the wire, or decoded; the web server's path matchers resolve dots, and on
// Windows backslashes; servlet containers cut parameters off, before or after decoding;
// and whatever decodes once more does all of that one layer deeper. The readings differ
// for paths such as /mcp/../x and /mcp/..;/x, where guessing one of them would leave the
// others open.
type forms struct {
	list [2 + 4*maxDecodings]string
	n    int
}

func (f *forms) add(s string) {
	if slices.Contains(f.all(), s) {
		return
	}
	f.list[f.n] = s
	f.n++
}

func (f *forms) all() []string { return f.list[:f.n] }

// formsOf returns the readings of an escaped path, the normal form last. Where it has no
// normal form the error is ErrPath, and the readings are those of the layers that can be
// decoded.
func formsOf(escaped string) (forms, error) {
	var f forms
	if plain(escaped) {
		f.add(escaped)
		return f, nil
	}
	l, err := decode(escaped)
	f.add(strings.ToLower(escaped))
	f.add(matched(unescape(withoutParameters(escaped))))
	for _, p := range l.all() {
		f.add(strings.ToLower(p))
		f.add(matched(p))
		f.add(windows(p))
		f.add(coarse(p))
	}
	return f, err
}

// plain tells whether a path is its own normal form, as nearly every path is; it spares
// the hot path all allocation.
func plain(p string) bool {
	if p == "" || p[0] != '/' {
		return false
	}
	for i := range len(p) {
		switch c := p[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '~', c == ':', c == '@', c == '+', c == ',', c == '=', c == '!', c == '$', c == '*':
		case c == '/', c == '.':
			// A dot segment, a dot at the end of a segment, or a doubled slash.
			if i+1 < len(p) && p[i+1] == '/' || c == '.' && i+1 == len(p) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// layers are a path decoded once, as the web server sees it, twice, and so on until
// nothing changes.
type layers struct {
	list [maxDecodings]string
	n    int
}

func (l *layers) all() []string { return l.list[:l.n] }

func (l *layers) last() string { return l.list[l.n-1] }

// decode returns the layers of a path. The first one must be valid throughout; in deeper
// ones a percent sign that begins no escape is what it looks like (/100%25 is a fine file
// name). Layers that are no text are there in spite of the error.
func decode(escaped string) (l layers, err error) {
	if !strings.HasPrefix(escaped, "/") {
		escaped = "/" + escaped
	}
	next, err := url.PathUnescape(escaped)
	if err != nil {
		return l, ErrPath
	}
	for l.n < maxDecodings {
		l.list[l.n] = next
		l.n++
		if !text(next) {
			err = ErrPath
		}
		if next = unescape(next); next == l.last() {
			return l, err
		}
	}
	return l, ErrPath
}

// text tells whether s is UTF-8 without control characters.
func text(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}

// unescape decodes every valid escape and leaves other percent signs.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && hex(s[i+1]) >= 0 && hex(s[i+2]) >= 0 {
			b.WriteByte(byte(hex(s[i+1])<<4 | hex(s[i+2])))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func hex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// matched is what the web server's path matchers compare.
func matched(p string) string { return clean(strings.ToLower(p)) }

// windows is the same on Windows, where backslashes separate and the file system drops
// dots and spaces at the end of a name.
func windows(p string) string {
	return clean(eachSegment(strings.ReplaceAll(strings.ToLower(p), `\`, "/"), func(s string) string {
		if s == "." || s == ".." {
			return s
		}
		return strings.TrimRight(s, ". ")
	}))
}

// withoutParameters cuts what follows a semicolon off each segment, as servlet containers
// do before they decode.
func withoutParameters(p string) string {
	return eachSegment(p, func(s string) string {
		s, _, _ = strings.Cut(s, ";")
		return s
	})
}

// coarse is the normal form of a decoded path.
func coarse(p string) string {
	// Upper case first: some letters (ſ, K) have no lower-case partner but through it.
	p = strings.ToLower(strings.ToUpper(p))
	return clean(eachSegment(strings.ReplaceAll(p, `\`, "/"), func(s string) string {
		s, _, _ = strings.Cut(s, ";")
		s = strings.TrimRight(s, " ")
		if s == "." || s == ".." {
			return s
		}
		return strings.TrimRight(s, ". ")
	}))
}

func eachSegment(p string, f func(string) string) string {
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i] = f(s)
	}
	return strings.Join(segments, "/")
}

// clean resolves dot segments and doubled slashes and keeps a slash at the end.
func clean(p string) string {
	c := path.Clean("/" + p)
	if c != "/" && strings.HasSuffix(p, "/") {
		c += "/"
	}
	return c
}
