// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// pick returns one of the values.
func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// bases are where spellings begin, beside the paths of the site.
var bases = []string{
	"/", "/x", "/other", "/mcp", "/mcp/admin", "/tasks", "/tasks/1", "/oauth", "/oauth/token", "/oauth/authorize", "/oauth/jwks", "/oauth/login/continue",
	"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource{path}", "/.well-known/oauth-authorization-server", "/favicon.ico",
	"/mc", "/task", "/MCP", "/api/mcp", "/v1", "/inner/mcp",
}

// ups are ways to write a segment that leads up.
var ups = []string{
	"..", "%2e%2e", ".%2e", "%2E.", "..;", "..;x=y", "..%3b", "%252e%252e", "..%20", "..%00", "...", ".. ", "%c0%ae%c0%ae", "..%5c", "%u002e.", "..%09",
	"%25252e%25252e",
}

// slashes are ways to write a slash.
var slashes = []string{
	"//", "///", "/./", "/%2e/", "%2f", "%2F", "%5c", `\`, "%252f", "%255c", "%25252f", "%2525252f", "%c0%af", "%e0%80%af", "/;/", "/;a=b/", "/x/../", "%ef%bc%8f", "/%20/../", "/.;/",
}

// ends are what may follow a path.
var ends = []string{
	"/", "//", "/.", "/..", "/../", "/../x", "/..;/x", "/%2e%2e/x", "/../../x", "/..%2fx", ".", "..", "...", "%20", "%20.", ".%20", "%2e", ";", ";x", ";x=y/z", "%3b", "%00", "%0a",
	"%0d%0aX-User-Email:%20" + evil, "%", "%z", "%zz", "%2", "%ff", "%c0%af", "#", "#x", "%23x", "%3fx", "+", ".json", ".php", "~", "::$DATA", "%e2%80%ae", "%7f", "\x7f", "%c2%85", "*", "{path}",
	"/x", "-x", "%09", "\xff", "é", "%C3%A9", "'", "\"", "<", "^", "|",
}

// spell returns a target in some spelling: a path of the site, or another one, bent up to
// four times.
func spell(rng *rand.Rand, s *site) string {
	p := pick(rng, s.ways)
	if rng.IntN(3) == 0 {
		p = pick(rng, bases)
	}
	for range 1 + rng.IntN(4) {
		p = bend(rng, p)
	}
	if rng.IntN(12) == 0 {
		p = pick(rng, []string{
			"http://{host}", "https://{host}", "HTTPS://{host}", "http://evil.test", "//{host}", "//evil.test", "https://user@{host}", "https://{name}", "https://open.test:{port}",
			"ftp://{host}", "mcp:", "https:", "///", "{host}", "https://{host}:99999", "https://evil.test@{host}", `https:\\{host}`, "x", "*", "?", ".", "",
		}) + p
	}
	return p
}

// bend changes the spelling once.
func bend(rng *rand.Rand, p string) string {
	switch rng.IntN(9) {
	case 0:
		return otherCase(rng, p)
	case 1, 2:
		return encodeOne(rng, p)
	case 3, 4:
		return replaceSlash(rng, p)
	case 5, 6:
		return p + pick(rng, ends)
	case 7:
		return insertUp(rng, p)
	default:
		return foldLetters(rng, p)
	}
}

func otherCase(rng *rand.Rand, p string) string {
	b := []byte(p)
	for i, c := range b {
		if letter := c | 0x20; 'a' <= letter && letter <= 'z' && rng.IntN(2) == 0 {
			b[i] ^= 0x20
		}
	}
	return string(b)
}

// encodeOne writes one byte as an escape, of one to four layers, or overlong.
func encodeOne(rng *rand.Rand, p string) string {
	if p == "" {
		return p
	}
	i := rng.IntN(len(p))
	c := p[i]
	escape := fmt.Sprintf("%%%02x", c)
	switch rng.IntN(8) {
	case 0, 1, 2:
	case 3, 4:
		escape = strings.ReplaceAll(escape, "%", "%25")
	case 5:
		escape = strings.ReplaceAll(escape, "%", "%2525")
	case 6:
		escape = strings.ReplaceAll(escape, "%", "%252525")
	case 7:
		escape = fmt.Sprintf("%%c%x%%%02x", c>>6, 0x80|c&0x3f)
	}
	return p[:i] + escape + p[i+1:]
}

func replaceSlash(rng *rand.Rand, p string) string {
	n := strings.Count(p, "/")
	if n == 0 {
		return "/" + p
	}
	return replaceNth(p, "/", pick(rng, slashes), rng.IntN(n))
}

func replaceNth(s, old, with string, n int) string {
	at := 0
	for ; n >= 0; n-- {
		i := strings.Index(s[at:], old)
		if n == 0 {
			return s[:at+i] + with + s[at+i+len(old):]
		}
		at += i + len(old)
	}
	return s
}

// insertUp puts a detour in front of some slash.
func insertUp(rng *rand.Rand, p string) string {
	n := strings.Count(p, "/")
	detour := pick(rng, []string{"/x/", "/", "/mcp/", "/tasks/", "/oauth/", "/oauth/token/", "/%2e/", "/a/b/", "/;/"}) + pick(rng, ups) + "/"
	if n == 0 {
		return detour + p
	}
	return replaceNth(p, "/", detour, rng.IntN(n))
}

// foldLetters writes letters by others that become them in upper or lower case.
func foldLetters(rng *rand.Rand, p string) string {
	for _, l := range []struct{ letter, other string }{{"s", "%C5%BF"}, {"k", "%E2%84%AA"}, {"s", "ſ"}, {"m", "%EF%BD%8D"}, {"i", "%C4%B1"}} {
		if rng.IntN(2) == 0 {
			p = strings.Replace(p, l.letter, l.other, 1)
		}
	}
	return p
}
