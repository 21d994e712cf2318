// SPDX-License-Identifier: Apache-2.0

package route

import (
	"slices"
	"strings"
)

// Route decides whose request it is. name is the host for matching, with or without
// port. original is the escaped path as the client sent it and rewritten the one that
// the next handler will see ((*url.URL).EscapedPath of both). A nil or empty table
// answers with the zero Route.
func (t *Table) Route(name, original, rewritten string) Route {
	if t == nil || t.hosts == nil {
		return Route{}
	}
	h := t.find(name)
	if h == nil {
		return t.foreign(original, rewritten)
	}
	if original == rewritten {
		if r, ok := h.exact[original]; ok {
			return r
		}
	}
	return t.decide(h, original, rewritten)
}

func (t *Table) decide(h *host, original, rewritten string) Route {
	if r, ok := h.documents[original]; ok {
		return r
	}
	if e, ok := h.endpoints[original]; ok {
		return Route{Kind: Endpoint, Endpoint: e}
	}
	return t.compare(h, original, rewritten)
}

// Knows tells whether name is a host of the issuer or of a resource.
func (t *Table) Knows(name string) bool { return t != nil && t.find(name) != nil }

func (t *Table) find(name string) *host {
	if h := t.hosts[name]; h != nil {
		return h
	}
	return t.hosts[hostForm(name)]
}

// compare decides by normal form for a path that is, byte for byte, neither document
// nor endpoint.
func (t *Table) compare(h *host, original, rewritten string) Route {
	asked, err := formsOf(original)
	if err != nil {
		return Route{Kind: BadPath}
	}
	if r := h.reservedBy(asked.all()); r.Kind != 0 {
		return r
	}
	owner, ok := h.owner(asked.all())
	if !ok {
		return Route{Kind: BadPath}
	}
	served := asked
	if rewritten != original {
		if served, err = formsOf(rewritten); err != nil {
			return Route{Kind: BadPath}
		}
		other, ok := h.owner(served.all())
		if !ok {
			return Route{Kind: BadPath}
		}
		if owner == nil || other != nil && other.length > owner.length {
			owner = other
		}
	}
	if owner != nil {
		return Route{Kind: Guarded, Resource: owner.resource, Slash: isSlash(owner.resource, original)}
	}
	if t.isElsewhere(asked.all()) || t.isElsewhere(served.all()) {
		return Route{Kind: Misdirected}
	}
	return Route{Kind: Next}
}

// reservedBy answers for paths that belong to the authorization server without being
// one of its documents or endpoints.
func (h *host) reservedBy(asked []string) Route {
	for _, form := range asked {
		// A path that becomes an endpoint only by normalising would be one for some software
		// and something else for other: it is refused rather than understood.
		if slices.Contains(h.coarse, form) {
			return Route{Kind: BadPath}
		}
	}
	for _, form := range asked {
		if h.under != "" && strings.HasPrefix(form, h.under) && (len(form) == len(h.under) || form[len(h.under)] == '/') {
			return Route{Kind: NotFound}
		}
		for _, r := range reserved {
			if strings.HasPrefix(form, r) {
				return Route{Kind: NotFound}
			}
		}
	}
	return Route{}
}

// owner returns the resource that a path belongs to, or nil. It is false when readings
// of the path belong to different resources: a token for one must not open the other.
func (h *host) owner(readings []string) (*guarded, bool) {
	var found *guarded
	for _, form := range readings {
		g := longest(h.resources, form)
		if g == nil {
			continue
		}
		if found != nil && found != g {
			return nil, false
		}
		found = g
	}
	return found, true
}

func (t *Table) isElsewhere(readings []string) bool {
	return slices.ContainsFunc(readings, func(form string) bool { return longest(t.elsewhere, form) != nil })
}

// foreign answers on a host that is neither the issuer's nor a resource's. The same
// backend may be reachable there, so what would be guarded on its own host is refused.
func (t *Table) foreign(original, rewritten string) Route {
	if t.root {
		return Route{Kind: Misdirected}
	}
	for _, p := range [...]string{original, rewritten} {
		// A path without normal form is none of ours to refuse here, unless what the web
		// server's matchers compare already belongs to a resource.
		f, _ := formsOf(p)
		if t.isElsewhere(f.all()) {
			return Route{Kind: Misdirected}
		}
	}
	return Route{Kind: Next}
}
