// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
)

var (
	harmlessSpices = harmless()
	hostileSpices  = hostile()
)

// methods are fine for the handler; strange ones need not be for the server.
var (
	methods        = []string{"GET", "GET", "POST", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "PATCH", "PROPFIND", "get", "QUERY"}
	strangeMethods = []string{"CONNECT", "TRACE", "PRI", "G E T", "GET\x00", "", strings.Repeat("M", 300), "M-SEARCH", "*"}
)

var strangeHosts = []string{
	"evil.test", "evil.test:{port}", "{name}", "{name}.", "{name}.:{port}", "{host}.", "{host}0", "{name}:", "{name}:443", "{name}:80", "[::1]:{port}", "127.0.0.1:{port}", "127.0.0.1", "localhost", "-", "",
	"open.test:{port}", "admin.test:{port}", "proxy.test:{port}", "auth.test:{port}", "b.wild.test:{port}", "A.WILD.test:{port}", "second.test:{port}", "root.test:{port}", "evil.test@{host}", "{host}@evil.test",
	"{host},evil.test", "{host} evil.test", "{host}/x", "{host}\x00", "{name}%00:{port}", "{name}\\:{port}", "xn--{name}:{port}", "{name}:{port}:{port}", "{name}:+{port}", " {host}", "{name} :{port}", "{host}#", "a.{host}",
	long[:300] + ".test",
}

// generate makes the case of a number: the same for the same seed, whatever ran before.
func (w *world) generate(rng *rand.Rand, protocol string) *request {
	s := pick(rng, w.sites)
	for protocol == "h3" && s.scheme == "http" {
		s = pick(rng, w.sites)
	}
	g := generator{rng: rng, s: s, tcp: protocol == "h1"}
	g.r = &request{site: s.name, method: pick(rng, methods), target: pick(rng, s.ways), host: "{host}", honest: true}
	for range rng.IntN(4) {
		sp := pick(rng, harmlessSpices)
		g.add(sp, sp.harmless || sp.tcp && g.tcp)
	}
	g.credential(rng.IntN(2) == 0)
	bodies := []func(){g.target, g.target, g.target, g.hostOf, g.method, g.query, g.query, g.hostile, g.hostile, g.body}
	switch rng.IntN(4) {
	case 0:
	case 1:
		pick(rng, bodies)()
	default:
		for range 1 + rng.IntN(4) {
			pick(rng, bodies)()
		}
	}
	if g.r.method == http.MethodOptions && (g.r.has("Access-Control-Request-Method")) {
		g.r.honest = false
	}
	return g.r
}

type generator struct {
	rng *rand.Rand
	s   *site
	r   *request
	tcp bool
}

// add puts headers in front of those that are there, or behind. Names that may stand
// only once make the second one a matter of opinion.
func (g *generator) add(sp spice, harmless bool) {
	for _, f := range sp.fields {
		once := slices.Contains([]string{"origin", "upgrade", "connection", "content-type", "te", "cookie", "proxy-connection"}, strings.ToLower(f.name))
		if once && g.r.has(f.name) {
			return
		}
	}
	g.r.honest = g.r.honest && harmless
	if g.rng.IntN(2) == 0 {
		g.r.fields = slices.Concat(sp.fields, g.r.fields)
	} else {
		g.r.fields = slices.Concat(g.r.fields, sp.fields)
	}
}

// token is a placeholder: often the valid one, which must not help a request that is bad
// in another way.
func (g *generator) token() string {
	if g.rng.IntN(3) == 0 {
		return "{valid}"
	}
	return "{" + pick(g.rng, kinds) + "}"
}

func (g *generator) credential(good bool) {
	if good {
		g.r.fields = append(g.r.fields, field{"Authorization", pick(g.rng, authorizations[:3])})
		g.fill("{valid}")
		return
	}
	g.r.honest = false
	for range 1 + max(0, g.rng.IntN(6)-4) {
		if g.rng.IntN(6) > 0 {
			g.r.fields = append(g.r.fields, field{"Authorization", pick(g.rng, authorizations)})
			g.fill(g.token())
		}
	}
}

// fill puts the token into the header that was added last.
func (g *generator) fill(token string) {
	f := &g.r.fields[len(g.r.fields)-1]
	f.value = strings.ReplaceAll(f.value, "T", "{}")
	f.value = strings.ReplaceAll(strings.ReplaceAll(f.value, "{}oken", "Token"), "{}", token)
}

func (g *generator) target() {
	g.r.honest = false
	g.r.target = spell(g.rng, g.s)
}

func (g *generator) hostOf() {
	g.r.honest = false
	g.r.host = pick(g.rng, strangeHosts)
	if g.rng.IntN(4) == 0 {
		g.r.host = otherCase(g.rng, g.s.authority())
	}
}

func (g *generator) method() {
	g.r.honest = false
	g.r.method = pick(g.rng, strangeMethods)
}

func (g *generator) query() {
	i := g.rng.IntN(len(queries))
	g.r.honest = g.r.honest && i < harmlessQueries
	separator := "?"
	if strings.Contains(g.r.target, "?") {
		separator = "&"
	}
	g.r.target += separator + strings.ReplaceAll(queries[i], "=T", "="+g.token())
}

func (g *generator) hostile() { g.add(pick(g.rng, hostileSpices), false) }

// body sends a body, which may bear a token (J12) or trailers; over HTTP/1.1 also what a
// second request would look like.
func (g *generator) body() {
	g.r.body = pick(g.rng, []string{"access_token=" + g.token(), `{"jsonrpc":"2.0","id":1,"method":"ping"}`, long, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n", "0\r\n\r\n"})
	g.r.chunked = g.rng.IntN(2) == 0
	switch g.rng.IntN(6) {
	case 0:
		g.r.honest = false
		g.r.trailers = []field{{pick(g.rng, []string{"Authorization", "X-User-Email", "X_User_Email", "Cookie", "Content-Length", "X-Trailer"}), evil}}
		g.r.fields = append(g.r.fields, field{"Trailer", g.r.trailers[0].name})
	case 1:
		if g.tcp {
			g.r.honest = false
			g.r.tail = "GET {path} HTTP/1.1\r\nHost: {host}\r\n" + idHeader + ": {id}-tail\r\n\r\n"
		}
	}
}
