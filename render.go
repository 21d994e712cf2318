// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
)

// render fills words and the fingerprint of the policy. options are those of the store.
func (s *settings) render(options string) {
	p := s.policy
	s.words = map[string]string{
		"issuer":         p.Issuer,
		"resource":       canonical(p.Resources),
		"provider":       s.provider.Identity() + " " + canonical(p.Verify),
		"store":          s.store.Identity() + " " + options,
		"encryption_key": renderMasters(s.masters),
		"scope":          canonical(p.Scopes),
		"allow":          canonical(p.Allow),
		"client":         renderClients(s.rules.Static),
		"registration": canonical([]any{
			s.rules.RegistrationOff, s.rules.RedirectHosts, s.rules.Rate,
			s.rules.Window,
		}),
		"login":   canonical([]string{s.title, s.support}),
		"tokens":  canonical([]any{p.Lifetimes, s.alg}),
		"streams": canonical(p.Streams),
	}
	p.Fingerprint = digest(canonical(s.words))
}

// firstDifference returns the first word, in alphabetical order, in which two settings
// differ, or "" where they mean the same.
func (s *settings) firstDifference(o *settings) string {
	for _, word := range slices.Sorted(maps.Keys(s.words)) {
		if s.words[word] != o.words[word] {
			return word
		}
	}
	return ""
}

// renderMasters keeps the order, because the first key seals.
func renderMasters(masters []seal.Master) string {
	var prints []string
	for _, m := range masters {
		prints = append(prints, seal.Fingerprint([]seal.Master{m}))
	}
	return canonical(prints)
}

func renderClients(static []clients.Static) string {
	type rendered struct {
		ID, Name      string
		Secrets, URIs []string
	}
	var out []rendered
	for _, c := range static {
		r := rendered{ID: c.ID, Name: c.Name, URIs: c.RedirectURIs}
		for _, s := range c.Secrets {
			r.Secrets = append(r.Secrets, digest(s.Reveal()))
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b rendered) int { return cmp.Compare(a.ID, b.ID) })
	return canonical(out)
}

// options resolves the texts in the configuration of a module as far as they can be, and
// returns a digest: two configurations with equal values are equal, and nothing secret
// is kept.
func (r *resolver) options(raw json.RawMessage) string {
	if len(raw) == 0 {
		raw = json.RawMessage(defaultStore)
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		r.fail(stores.word, err)
	}
	return digest(canonical(r.resolved(v)))
}

// resolved leaves a text as it is whose placeholders cannot be resolved: what may be in
// the configuration of a module is for the module to say.
func (r *resolver) resolved(v any) any {
	switch v := v.(type) {
	case string:
		if out, err := surface.Expand(r.repl, v); err == nil {
			return out
		}
	case []any:
		for i := range v {
			v[i] = r.resolved(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = r.resolved(v[k])
		}
	}
	return v
}

// canonical is JSON: members of maps are sorted, so equal values have equal texts.
func canonical(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("mcp_oauth: rendering %T: %v", v, err)) // plain structures always marshal
	}
	return string(b)
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
