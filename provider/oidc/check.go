// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// The checks of single values. The parser calls them for values without placeholders and
// Provision for all. Their errors say what to write instead and never quote what may be
// a secret.

// CheckURL demands an absolute https URL; http is for a provider on this machine.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Host == "", u.Opaque != "":
		return errors.New("write an absolute URL such as https://login.example.com")
	case u.User != nil, u.Fragment != "", strings.Contains(s, "#"):
		return errors.New("write the URL without user name, password and fragment")
	case u.Scheme == "https", u.Scheme == "http" && oauth.IsLoopbackHost(u.Host):
		return nil
	default:
		return errors.New("write an https URL: http is accepted for localhost, 127.0.0.1 and [::1] only")
	}
}

// CheckIssuer demands what OpenID Connect Discovery §3 does: "a URL using the https
// scheme with no query or fragment components".
func CheckIssuer(s string) error {
	if strings.Contains(s, "?") {
		return errors.New("write the issuer without a query, exactly as the provider's discovery document states it")
	}
	return CheckURL(s)
}

// CheckClientID demands printable ASCII (RFC 6749 appendix A.1).
func CheckClientID(s string) error {
	if !printable(s) {
		return errors.New("write the client id that the provider shows for the application")
	}
	return nil
}

// CheckSecret demands printable ASCII (RFC 6749 appendix A.2).
func CheckSecret(s string) error {
	if !printable(s) {
		return errors.New("write the client secret that the provider shows for the application, without spaces or line breaks around it, " +
			"for instance as {env.CLIENT_SECRET}")
	}
	return nil
}

// CheckScope demands one scope token (RFC 6749 §3.3).
func CheckScope(s string) error {
	if !oauth.ValidScope(s) {
		return fmt.Errorf("%q is not one scope: write scopes separated by spaces, without quotes around the list", s)
	}
	return nil
}

// CheckScopes demands openid, without which there is no ID token (OpenID Connect Core
// §3.1.2.1: "OpenID Connect requests MUST contain the openid scope value").
func CheckScopes(scopes []string) error {
	if !slices.Contains(scopes, "openid") {
		return errors.New("scopes: add openid: the list replaces the default, and without openid the provider says nothing about the person")
	}
	return nil
}

// CheckPrompt demands prompt values of OpenID Connect Core §3.1.2.1 that let a person
// sign in.
func CheckPrompt(s string) error {
	values := strings.Fields(s)
	if slices.Contains(values, "none") {
		return errors.New("prompt none would refuse everyone who is not signed in already: write login, consent or select_account, or leave the line out")
	}
	if len(values) == 0 || slices.ContainsFunc(values, func(v string) bool { return !harmless.MatchString(v) }) {
		return errors.New("write login, consent or select_account, or leave the line out")
	}
	return nil
}

// CheckClaim demands the name of a claim.
func CheckClaim(s string) error {
	if !printable(s) {
		return errors.New("write the name of a claim of the ID token, such as roles or realm_access.roles")
	}
	return nil
}

// mutable are claims that people or their administrators can change, or that somebody
// else may get later (OpenID Connect Core §5.7).
var mutable = []string{"email", "preferred_username", "upn", "unique_name", "name", "nickname", "phone_number"}

// CheckSubjectClaim demands a claim that can identify a person for good.
func CheckSubjectClaim(s string) error {
	if slices.Contains(mutable, s) {
		return fmt.Errorf("%s can change and can pass to somebody else, so it cannot identify a person: write sub, or a claim that is never assigned twice", s)
	}
	return CheckClaim(s)
}

func printable(s string) bool {
	if s == "" || strings.TrimSpace(s) != s {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
