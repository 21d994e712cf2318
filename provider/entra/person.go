// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"errors"

	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
)

// Person reads who signed in. A person is a tenant id and an object id: everything else,
// the e-mail address above all, can change or be chosen by a foreign administrator.
func (dialect) Person(t *oidc.IDToken) (provider.Person, error) {
	tenant, err := checkIssuer(t)
	if err != nil {
		return provider.Person{}, err
	}
	object := t.Claims.String("oid")
	switch {
	case !isGUID(object):
		return provider.Person{}, errors.New("oid is absent or no object id: the scope profile brings it")
	case t.Claims.String("idtyp") == "app":
		return provider.Person{}, errors.New("the token is of an application and not of a person")
	}
	return provider.Person{
		Subject:           tenant + "." + object,
		Issuer:            t.Issuer,
		Tenant:            tenant,
		ObjectID:          object,
		Name:              t.Claims.String("name"),
		PreferredUsername: t.Claims.String("preferred_username"),
		Email:             t.Claims.String("email"),
		EmailVerified:     emailVerified(t),
		Roles:             t.Claims.Strings("roles"),
		// More groups than fit into a token are replaced by a pointer to them
		// (_claim_names). Then they are unknown here, which no rule takes for a yes.
		Groups: t.Claims.Strings("groups"),
	}, nil
}

// emailVerified tells whether the address is known to be the person's. Among several
// tenants it never is. In a single one xms_edov says so, by which the owner of the domain
// vouches, and email_verified, but not for guests, whose address a foreign administrator
// set.
func emailVerified(t *oidc.IDToken) bool {
	if t.Claims.String("email") == "" || t.Metadata.Issuer != t.Issuer {
		return false
	}
	return domainVerified(t.Claims) || t.Claims.True("email_verified") && !isGuest(t)
}

// domainVerified reads xms_edov, which comes as a boolean, as 1, or as either in quotes.
func domainVerified(c oidc.Claims) bool {
	return c.True("xms_edov") || string(c["xms_edov"]) == "1" || c.String("xms_edov") == "1"
}

// isGuest tells whether another directory vouches for the person: acct is 1 (0 for
// members), or idp names an identity provider that is not the tenant itself.
func isGuest(t *oidc.IDToken) bool {
	acct := string(t.Claims["acct"])
	idp := t.Claims.String("idp")
	return t.Claims.Has("acct") && acct != "0" || idp != "" && idp != t.Issuer
}
