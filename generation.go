// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
)

// generation is what the mcp_oauth blocks of one configuration have in common. Blocks of
// one issuer must mean the same, or a request would be judged by whichever block it met;
// an origin belongs to one issuer, or two would answer for the same documents.
type generation struct {
	blocks  int
	issuers map[string]*settings
	origins map[string]string // origin → issuer
}

// generations are the configurations that are loaded now; during a reload there are two.
// The key is something that each configuration has exactly one of.
var generations = struct {
	sync.Mutex
	m map[any]*generation
}{m: map[any]*generation{}}

// join adds a block to its configuration. leave must follow if it returns nil.
func join(config any, s *settings) error {
	generations.Lock()
	defer generations.Unlock()
	g := generations.m[config]
	if g == nil {
		g = &generation{issuers: map[string]*settings{}, origins: map[string]string{}}
	}
	issuer := s.policy.Issuer
	if other, ok := g.issuers[issuer]; ok {
		if word := s.firstDifference(other); word != "" {
			return fmt.Errorf("two mcp_oauth blocks have the issuer %s and differ in %q: write the block once as a snippet and import it in both sites", issuer, word)
		}
	}
	for _, o := range s.origins() {
		if other, ok := g.origins[o]; ok && other != issuer {
			return fmt.Errorf("%s belongs to the issuer %s and to the issuer %s: put both resources into one mcp_oauth block, or give each its own host", o, other, issuer)
		}
	}
	for _, o := range s.origins() {
		g.origins[o] = issuer
	}
	g.issuers[issuer] = s
	g.blocks++
	generations.m[config] = g
	return nil
}

// leave takes a block out of its configuration.
func leave(config any) {
	generations.Lock()
	defer generations.Unlock()
	g := generations.m[config]
	if g == nil {
		return
	}
	if g.blocks--; g.blocks == 0 {
		delete(generations.m, config)
	}
}

// origins are those of the issuer and of the resources.
func (s *settings) origins() []string {
	var out []string
	if u, err := url.Parse(s.policy.Issuer); err == nil {
		out = append(out, u.Scheme+"://"+strings.ToLower(u.Host))
	}
	for _, r := range s.policy.Resources {
		out = append(out, strings.ToLower(r.Origin))
	}
	return out
}
