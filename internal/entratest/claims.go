// SPDX-License-Identifier: Apache-2.0

package entratest

import (
	"slices"
	"time"
)

// claims are those of a v2.0 ID token.
func (e *Emulator) claims(g grant, scopes []string) map[string]any {
	now := e.now()
	c := map[string]any{
		"aud": e.o.ClientID, "iss": e.issuer(e.o.Tenant), "tid": e.o.Tenant, "ver": "2.0",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(65 * time.Minute).Unix(),
		"sub": pairwise(e.o.ClientID, g.user.ObjectID), "uti": e.random(16), "rh": "0." + e.random(20),
	}
	if g.nonce != "" {
		c["nonce"] = g.nonce
	}
	if slices.Contains(scopes, "profile") {
		c["oid"], c["name"], c["preferred_username"] = g.user.ObjectID, g.user.Name, g.user.Username
	}
	if slices.Contains(scopes, "email") && g.user.Email != "" {
		c["email"] = g.user.Email
		if g.user.DomainVerified {
			c["xms_edov"] = true
		}
	}
	if g.user.Guest != "" {
		c["idp"] = g.user.Guest
	}
	if len(g.user.Roles) > 0 {
		c["roles"] = g.user.Roles
	}
	if len(g.user.Groups) > 0 {
		c["groups"] = g.user.Groups
	}
	return c
}
