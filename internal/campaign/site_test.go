// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"strconv"
	"strings"
)

// site is a layout that runs.
type site struct {
	layout
	w       *world
	scheme  string
	port    int
	origin  string // of the resource
	issuer  string
	backend *backend

	tokens   map[string]string
	replacer *strings.Replacer
}

func (s *site) resource() string { return s.origin + s.path }

// authority is host and port of the resource.
func (s *site) authority() string { return s.layout.host + ":" + strconv.Itoa(s.port) }

// newSite fills in what a layout leaves out.
func newSite(w *world, l layout) *site {
	s := &site{layout: l, w: w, scheme: "https", port: w.ports["PORT"]}
	if s.layout.host == "" {
		s.layout.host = l.name + ".test"
	}
	if s.path == "" {
		s.path = "/mcp"
	}
	if len(s.ways) == 0 {
		p := strings.TrimSuffix(s.path, "/")
		s.ways = []string{s.path, p + "/", p + "/x", p + "/x/y.z"}
		if s.path != "/" {
			s.ways = append(s.ways, p+"-more")
		}
	}
	if s.address == "" {
		s.address = "https://" + s.layout.host + ":PORT"
	}
	switch l.issuer {
	case "":
		s.layout.issuer = "shared"
	case "root":
		s.port = w.ports["ROOT"]
	case "plain":
		s.scheme, s.port = "http", w.ports["PLAIN"]
	}
	s.origin = s.scheme + "://" + s.authority()
	s.issuer = s.origin + "/oauth"
	if s.layout.issuer == "shared" {
		s.issuer = "https://auth.test:" + strconv.Itoa(s.port)
	}
	return s
}

// expand fills in the {placeholders} of a request.
func (s *site) expand(text, id string) string {
	if strings.IndexByte(text, '{') < 0 {
		return text
	}
	return strings.ReplaceAll(s.replacer.Replace(text), "{id}", id)
}

// What would be too long to write down.
var (
	huge = strings.Repeat("A", 1<<20)
	deep = strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
)

// prepare is called when all tokens are there.
func (s *site) prepare() {
	pairs := []string{
		"{host}", s.authority(), "{name}", s.layout.host, "{port}", strconv.Itoa(s.port), "{path}", s.path,
		"{origin}", s.origin, "{huge}", huge,
		"{deep}", deep, "{brackets}", strings.Repeat("[", 20_000), "{params}", strings.Repeat("a=b&", 5000), "{scopes}", strings.Repeat("a%20", 2000),
	}
	for kind, token := range s.tokens {
		pairs = append(pairs, "{"+kind+"}", token)
	}
	s.replacer = strings.NewReplacer(pairs...)
}
