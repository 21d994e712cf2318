// SPDX-License-Identifier: Apache-2.0

package route

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

// Table decides for one policy. It is immutable and may be used concurrently.
type Table struct {
	hosts map[string]*host
	// elsewhere are the resources that are not at "/": on other hosts their paths are 421.
	elsewhere []guarded
	// root tells that some resource is at "/": hosts that are not ours are 421.
	root bool
}

// host is what one host of the policy has.
type host struct {
	documents map[string]Route  // by exact path
	endpoints map[string]string // by exact path
	coarse    []string          // the endpoints' normal forms
	under     string            // the issuer's path in normal form; "" when it has none or is elsewhere
	resources []guarded         // the longest first
	exact     map[string]Route  // what becomes of the resources' own paths: nearly every request
}

// guarded is a resource and the beginnings of paths that belong to it.
type guarded struct {
	resource *policy.Resource
	prefixes []string
	length   int
}

// New builds the table of p, which the configuration checks have accepted.
func New(p *policy.Policy) *Table {
	t := &Table{hosts: map[string]*host{}}
	t.addIssuer(p.Issuer, p.Introspection())
	for _, r := range p.Resources {
		t.addResource(r)
	}
	longestFirst := func(a, b guarded) int { return cmp.Compare(b.length, a.length) }
	for _, h := range t.hosts {
		slices.SortStableFunc(h.resources, longestFirst)
		// By RFC 9728 §3.1 the document without path is that of the resource at "/". Clients
		// look there last, and where there is one resource they can mean no other.
		if len(h.resources) == 1 {
			h.documents[resourceDocument] = Route{Kind: Document, Document: ProtectedResource, Resource: h.resources[0].resource}
		}
	}
	for _, h := range t.hosts {
		h.exact = map[string]Route{}
		for _, g := range h.resources {
			path := g.resource.Path
			if r := t.decide(h, path, path); r.Kind == Guarded {
				h.exact[path] = r
			}
		}
	}
	return t
}

// host returns the entry for the host of a URL, under each of its names.
func (t *Table) host(scheme, name string) *host {
	names := aliases(scheme, name)
	h := t.hosts[names[0]]
	if h == nil {
		h = &host{documents: map[string]Route{}, endpoints: map[string]string{}}
	}
	for _, n := range names {
		t.hosts[n] = h
	}
	return h
}

func (t *Table) addIssuer(issuer string, introspection bool) {
	scheme, name, path := splitOrigin(issuer)
	path = trimmed(path)
	h := t.host(scheme, name)
	for _, at := range []string{serverDocument + path, openIDDocument + path, path + openIDDocument, path + serverDocument, serverDocument} {
		h.documents[at] = Route{Kind: Document, Document: ASMetadata}
	}
	served := endpoints
	if introspection {
		served = append(slices.Clone(served), "introspect")
	}
	for _, e := range served {
		at := path + "/" + e
		h.endpoints[at] = e
		h.coarse = append(h.coarse, readings(at)...)
	}
	if path != "" {
		h.under = path
		if n, err := Normalize(path); err == nil {
			h.under = n
		}
	}
}

func (t *Table) addResource(r *policy.Resource) {
	scheme, name, _ := splitOrigin(r.Origin)
	h := t.host(scheme, name)
	for _, slash := range []bool{false, true} {
		doc := Route{Kind: Document, Document: ProtectedResource, Resource: r, Slash: slash}
		at := metadataPath(r, slash)
		h.documents[at] = doc
		h.documents[strings.ReplaceAll(at, ",", "%2C")] = doc
	}
	path := trimmed(r.Path)
	if path == "" {
		path = "/"
		t.root = true
	}
	g := guarded{resource: r, prefixes: readings(path), length: len(path)}
	h.resources = append(h.resources, g)
	if !r.IsRoot() {
		t.elsewhere = append(t.elsewhere, g)
	}
}

// readings are the forms of a configured path.
func readings(path string) []string {
	f, err := formsOf(path)
	if err != nil {
		return []string{path}
	}
	return slices.Clone(f.all())
}

// owns tells whether a path in one of its forms begins with the resource's. The prefix
// is a string, not a row of segments: reverse_proxy /mcp* serves /mcpx as well.
func (g *guarded) owns(form string) bool {
	for _, p := range g.prefixes {
		if strings.HasPrefix(form, p) {
			return true
		}
	}
	return false
}

func longest(resources []guarded, form string) *guarded {
	for i := range resources {
		if resources[i].owns(form) {
			return &resources[i]
		}
	}
	return nil
}
