// SPDX-License-Identifier: Apache-2.0

package entratest

import (
	"crypto/subtle"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

var tokenParameters = []string{
	"grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret", "scope", "refresh_token", "client_info",
}

// serveToken redeems codes and refresh tokens.
func (e *Emulator) serveToken(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		e.refuse(w, http.StatusMethodNotAllowed, "invalid_request", 900561, "The endpoint only accepts POST requests.")
		return
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err := r.ParseForm(); err != nil || media != "application/x-www-form-urlencoded" || r.URL.RawQuery != "" {
		e.refuse(w, http.StatusBadRequest, "invalid_request", 900144, "The request body must contain the following parameter: 'grant_type'.")
		return
	}
	if status, no := e.checkToken(r); no != nil {
		e.refuse(w, status, no.code, no.number, no.text)
		return
	}
	var g grant
	var no *refusal
	switch f := r.PostForm; f.Get("grant_type") {
	case "authorization_code":
		g, no = e.redeem(f)
	case "refresh_token":
		g, no = e.refresh(f)
	default:
		no = &refusal{"unsupported_grant_type", 70003, "The app requested an unsupported grant type."}
	}
	if no != nil {
		e.refuse(w, http.StatusBadRequest, no.code, no.number, no.text)
		return
	}
	e.answer(w, g, strings.Fields(r.PostForm.Get("scope")))
}

// checkToken checks what both grants have in common: the form, the client, the scope.
func (e *Emulator) checkToken(r *http.Request) (int, *refusal) {
	f := r.PostForm
	for name, values := range f {
		switch {
		case name == "resource":
			return http.StatusBadRequest, &refusal{"invalid_target", 9010010, "The resource parameter provided in the request doesn't match with the requested scopes."}
		case len(values) > 1, !e.o.Lax && !slices.Contains(tokenParameters, name):
			return http.StatusBadRequest, &refusal{"invalid_request", 9002313, "Invalid request. Parameter " + name + " is duplicated or unknown to the emulator."}
		}
	}
	if tenant := r.PathValue("tenant"); !e.knows(tenant) {
		return http.StatusBadRequest, &refusal{"invalid_request", 90002, "Tenant was not found."}
	}
	if r.Header.Get("Origin") != "" {
		return http.StatusBadRequest, &refusal{"invalid_request", 9002326, "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type."}
	}
	if no := e.authenticate(r); no != nil {
		return http.StatusUnauthorized, no
	}
	_, no := e.resolveScopes(f.Get("scope"), false)
	return http.StatusBadRequest, no
}

func (e *Emulator) authenticate(r *http.Request) *refusal {
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		id, _ = url.QueryUnescape(user)
		secret, _ = url.QueryUnescape(password)
	}
	switch {
	case id != e.o.ClientID:
		return &refusal{"unauthorized_client", 700016, "The application was not found in the directory."}
	case secret == "":
		return &refusal{"invalid_client", 7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."}
	case subtle.ConstantTimeCompare([]byte(secret), []byte(e.o.ClientSecret)) != 1:
		return &refusal{"invalid_client", 7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID."}
	}
	return nil
}

// redeem checks a code. A wrong redirect URI or verifier does not use it up.
func (e *Emulator) redeem(f url.Values) (grant, *refusal) {
	g, ok := e.find("code", f.Get("code"))
	switch {
	case !ok:
		return g, &refusal{"invalid_grant", 70000, "The provided value for the code is not valid."}
	case g.used:
		return g, &refusal{"invalid_grant", 54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token."}
	case !e.now().Before(g.issued.Add(codeLife)):
		return g, &refusal{"invalid_grant", 70008, "The provided authorization code or refresh token has expired due to inactivity."}
	case g.redirectURI != f.Get("redirect_uri"):
		return g, &refusal{"invalid_grant", 500112, "The reply address does not match the reply address provided when requesting the authorization code."}
	case !g.verifierFits(f.Get("code_verifier")):
		return g, &refusal{"invalid_grant", 501481, "The Code_Verifier does not match the code_challenge supplied in the authorization request."}
	case !e.spend(f.Get("code")):
		return g, &refusal{"invalid_grant", 54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token."}
	}
	return g, e.checkUser(&g)
}

// refresh checks a refresh token. It stays valid when a new one is issued.
func (e *Emulator) refresh(f url.Values) (grant, *refusal) {
	g, ok := e.find("refresh", f.Get("refresh_token"))
	switch {
	case !ok:
		return g, &refusal{"invalid_grant", 70000, "The provided value for the refresh token is not valid."}
	case !e.now().Before(g.issued.Add(idleLife)):
		return g, &refusal{"invalid_grant", 700082, "The refresh token has expired due to inactivity."}
	case e.isRevoked(g):
		return g, &refusal{"invalid_grant", 50173, "The provided grant has expired due to it being revoked, a fresh auth token is needed."}
	}
	g.nonce = ""
	return g, e.checkUser(&g)
}

// checkUser looks the user up again: what changed since is in the next token.
func (e *Emulator) checkUser(g *grant) *refusal {
	u, ok := e.user(g.user.Username)
	switch {
	case !ok || u.Disabled:
		return &refusal{"invalid_grant", 50057, "The user account is disabled."}
	case u.Unassigned:
		return &refusal{"invalid_grant", 50105, "The signed in user is not assigned to a role for the application."}
	}
	g.user = u
	return nil
}

// answer issues tokens: a refresh token for offline_access, an ID token for openid.
func (e *Emulator) answer(w http.ResponseWriter, g grant, scopes []string) {
	lifetime := 3600 + int(e.random(1)[0])*14 // never the same: nobody may rely on one
	body := map[string]any{
		"token_type": "Bearer", "scope": strings.Join(scopes, " "),
		"expires_in": lifetime, "ext_expires_in": lifetime, "access_token": "eyJ" + e.random(900),
	}
	e.mu.Lock()
	without := e.noToken
	e.mu.Unlock()
	if slices.Contains(scopes, "offline_access") && !without {
		next := g
		next.kind, next.used = "refresh", false
		body["refresh_token"] = e.issue(&next)
	}
	if slices.Contains(scopes, "openid") {
		body["id_token"] = e.sign(e.claims(g, scopes))
	}
	writeJSON(w, http.StatusOK, body)
}
