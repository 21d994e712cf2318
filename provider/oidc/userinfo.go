// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

const emailVerified = "email_verified"

// addUserInfo completes the claims of an ID token from the userinfo endpoint. OpenID
// Connect Core §5.4: with a code the claims of the scopes profile and email are returned
// from there, and strict providers put them nowhere else. What the ID token states stays.
// A provider that refuses leaves the claims as they are; one that cannot be asked leaves
// it unknown who the person is, since a rule may look at what is missing.
func (rp *RelyingParty) addUserInfo(ctx context.Context, md *Metadata, t *IDToken, accessToken secret.String) error {
	missing := rp.dialect.Missing(t)
	if len(missing) == 0 || md.UserInfoEndpoint == "" || accessToken.IsZero() {
		return nil
	}
	info, err := rp.userInfo(ctx, md, accessToken)
	if err != nil || info == nil {
		return err
	}
	// §5.3.2: "The sub Claim in the UserInfo Response MUST be verified to exactly match the
	// sub Claim in the ID Token; if they do not match, the UserInfo Response values MUST
	// NOT be used."
	if info.String("sub") != t.Claims.String("sub") {
		return invalid("the userinfo endpoint answered for another person")
	}
	// email_verified speaks of the address beside it.
	if email := t.Claims.String(defaultEmail); email == "" || !t.Claims.Has(emailVerified) && email == info.String(defaultEmail) {
		missing = append(missing, defaultEmail, emailVerified)
	}
	for _, name := range missing {
		if v, ok := info[name]; ok {
			t.Claims[name] = v
		}
	}
	return nil
}

// interposed tells whether an answer says nothing about the person: the endpoint is down, or
// something in front of it answered in its place, such as a page about maintenance or one
// that wants a browser. Taken for "no claims", it would end a sign-in for want of a role.
func interposed(status int, media string) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return false
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	}
	return status >= http.StatusInternalServerError || status >= 300 && status < 400 || media == "text/html"
}

// userInfo asks once. It returns nil where the provider says no, or answers with something
// other than JSON, such as a signed answer.
func (rp *RelyingParty) userInfo(ctx context.Context, md *Metadata, accessToken secret.String) (Claims, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, md.UserInfoEndpoint, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+accessToken.Reveal())
	a, err := ask(rp.http, r)
	if err != nil {
		return nil, fmt.Errorf("asking the userinfo endpoint: %w", err)
	}
	media, _, _ := mime.ParseMediaType(a.mediaType)
	switch {
	case interposed(a.status, media):
		return nil, fmt.Errorf("the userinfo endpoint answered status %d", a.status)
	case a.status != http.StatusOK || media != "application/json":
		rp.log.Warn("the userinfo endpoint of the sign-in provider gives no claims",
			"provider", rp.dialect.Name(), "status", a.status, "content_type", media)
		return nil, nil
	}
	var info Claims
	if err := json.Unmarshal(a.body, &info); err != nil {
		return nil, fmt.Errorf("the userinfo endpoint did not answer with JSON: %w", err)
	}
	return info, nil
}
