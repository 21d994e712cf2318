// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"crypto/sha256"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// Target is a resource under one policy, with what no request changes about it worked
// out once. It does not change once requests have it.
type Target struct {
	Policy   *policy.Policy
	Resource *policy.Resource
	// Provider is asked again about people who use the resource; nil where nobody asks.
	Provider provider.Provider

	// realm tells answers by different policies, and for different resources, apart.
	realm [16]byte
	// own are the names of the headers that the guard alone may set.
	own []string
	// challenges are the challenges for a request without a token, which are the beginnings
	// of most others: for the path without and with a slash at the end.
	challenges [2]string
}

// NewTarget returns the Target of a resource of p.
func NewTarget(p *policy.Policy, r *policy.Resource) *Target {
	realm := sha256.Sum256([]byte(p.Fingerprint + "\x00" + r.URL))
	t := &Target{Policy: p, Resource: r, realm: [16]byte(realm[:16]), own: []string{"Authorization"}}
	for _, h := range r.Forward {
		t.own = append(t.own, h.Name)
	}
	for i, slash := range []bool{false, true} {
		t.challenges[i] = challengeStart(r, slash, nil)
	}
	return t
}
