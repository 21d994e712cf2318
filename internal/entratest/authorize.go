// SPDX-License-Identifier: Apache-2.0

package entratest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxState is the length of state above which Microsoft refuses the request.
const maxState = 2048

var authorizeParameters = []string{
	"client_id", "response_type", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
	"response_mode", "prompt", "login_hint", "domain_hint", "resource",
}

// serveAuthorize refuses by a page what must not be redirected, by redirect what may,
// and otherwise shows the page on which a user is chosen.
func (e *Emulator) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if no := e.beforeRedirect(r.PathValue("tenant"), q); no != nil {
		e.errorPage(w, http.StatusBadRequest, no)
		return
	}
	if no := e.checkAuthorize(q); no != nil {
		e.sendBack(w, r, q, no)
		return
	}
	if name := e.chosen(q); name != "" {
		e.signIn(w, r, q, name)
		return
	}
	id := e.random(16)
	e.pendingMu.Lock()
	e.pending[id] = q
	e.pendingMu.Unlock()
	e.choicePage(w, r.PathValue("tenant"), id)
}

// beforeRedirect are the errors that Microsoft shows itself: the redirect URI is not to
// be trusted, or the request is too broken.
func (e *Emulator) beforeRedirect(tenant string, q url.Values) *refusal {
	switch {
	case tenant == "common" || tenant == "organizations" || tenant == "consumers":
		return &refusal{"unauthorized_client", 50194, "The application is not configured as a multi-tenant application."}
	case !e.knows(tenant):
		return &refusal{"invalid_request", 90002, "Tenant was not found."}
	case q.Get("client_id") != e.o.ClientID:
		return &refusal{"unauthorized_client", 700016, "The application was not found in the directory."}
	case !e.registered(q.Get("redirect_uri")):
		return &refusal{"invalid_client", 50011, "The redirect URI specified in the request does not match the redirect URIs configured for the application."}
	case len(q.Get("state")) > maxState:
		return &refusal{"invalid_request", 90015, "The query string is too long."}
	}
	return nil
}

func (e *Emulator) checkAuthorize(q url.Values) *refusal {
	for name, values := range q {
		if len(values) > 1 {
			return &refusal{"invalid_request", 9002313, "Invalid request. Parameter " + name + " is duplicated."}
		}
		if !e.o.Lax && !slices.Contains(authorizeParameters, name) {
			return &refusal{"invalid_request", 9002313, "Invalid request. Parameter " + name + " is unknown to the emulator."}
		}
	}
	switch {
	case q.Has("resource"):
		return &refusal{"invalid_target", 9010010, "The resource parameter provided in the request doesn't match with the requested scopes."}
	case q.Get("response_type") != "code":
		return &refusal{"unsupported_response_type", 70005, "The response type is not supported."}
	case q.Has("response_mode") && q.Get("response_mode") != "query":
		return &refusal{"invalid_request", 9002313, "The emulator answers by query only."}
	}
	if no := checkChallenge(q); no != nil {
		return no
	}
	if no := checkPrompt(q); no != nil {
		return no
	}
	_, no := e.resolveScopes(q.Get("scope"), true)
	return no
}

func checkChallenge(q url.Values) *refusal {
	challenge, method := q.Get("code_challenge"), q.Get("code_challenge_method")
	switch {
	case challenge == "" && method == "":
		return nil
	case method != "S256" && method != "plain":
		return &refusal{"invalid_request", 501491, "Invalid code challenge method."}
	case len(challenge) < 43 || len(challenge) > 128:
		return &refusal{"invalid_request", 501491, "Invalid size of Code_Challenge parameter."}
	}
	return nil
}

func checkPrompt(q url.Values) *refusal {
	switch p := q.Get("prompt"); {
	case p == "none":
		return &refusal{"login_required", 50058, "A silent sign-in request was sent but no user is signed in."}
	case !slices.Contains([]string{"", "login", "consent", "select_account"}, p):
		return &refusal{"invalid_request", 90023, "Unsupported prompt value."}
	case p == "select_account" && q.Has("login_hint"):
		return &refusal{"invalid_request", 90023, "login_hint cannot be combined with prompt=select_account."}
	}
	return nil
}

// resolveScopes applies Microsoft's rules for scopes and returns those that the token
// will have. Several resources are allowed at the authorization endpoint alone.
func (e *Emulator) resolveScopes(scope string, several bool) ([]string, *refusal) {
	scopes := strings.Fields(scope)
	if len(scopes) == 0 {
		return nil, &refusal{"invalid_request", 900144, "The request body must contain the following parameter: 'scope'."}
	}
	seen := ""
	for _, s := range scopes {
		if slices.Contains([]string{"openid", "profile", "email", "offline_access"}, s) {
			continue
		}
		resource, no := e.resourceOf(s)
		if no != nil {
			return nil, no
		}
		if seen != "" && seen != resource && !several {
			return nil, &refusal{"invalid_scope", 28000, "The scope is not valid because it contains more than one resource."}
		}
		seen = resource
	}
	return scopes, nil
}

func (e *Emulator) resourceOf(scope string) (string, *refusal) {
	i := strings.LastIndexByte(scope, '/')
	if i < 0 {
		if scope == "User.Read" {
			return "graph", nil
		}
		return "", &refusal{"invalid_scope", 650053, "The application asked for a scope that doesn't exist on the resource '00000003-0000-0000-c000-000000000000'."}
	}
	switch scope[:i] {
	case "https://graph.microsoft.com":
		return "graph", nil
	case e.o.ClientID, "api://" + e.o.ClientID:
		return "self", nil
	}
	return "", &refusal{"invalid_resource", 500011, "The resource principal was not found in the tenant."}
}

// chosen is who signs in without the page: the hint of the request, or the user of
// SignInAs.
func (e *Emulator) chosen(q url.Values) string {
	if hint := q.Get("login_hint"); hint != "" {
		return hint
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.auto
}

// signIn ends the request for a user: a page for those who may not, a code for the rest.
func (e *Emulator) signIn(w http.ResponseWriter, r *http.Request, q url.Values, username string) {
	u, ok := e.user(username)
	switch {
	case !ok:
		e.errorPage(w, http.StatusBadRequest, &refusal{"invalid_grant", 50034, "The user account does not exist in the directory."})
		return
	case u.Disabled:
		e.errorPage(w, http.StatusBadRequest, &refusal{"invalid_grant", 50057, "The user account is disabled."})
		return
	case u.Unassigned:
		e.errorPage(w, http.StatusBadRequest, &refusal{"invalid_grant", 50105, "The signed in user is not assigned to a role for the application."})
		return
	}
	code := e.issue(&grant{
		kind: "code", user: u, scopes: strings.Fields(q.Get("scope")), redirectURI: q.Get("redirect_uri"), nonce: q.Get("nonce"),
		challenge: q.Get("code_challenge"), method: q.Get("code_challenge_method"), authTime: e.now(),
	})
	answer := url.Values{"code": {code}, "session_state": {e.guid()}}
	if q.Has("state") {
		answer.Set("state", q.Get("state"))
	}
	redirectBack(w, r, q.Get("redirect_uri"), answer)
}

// sendBack redirects an error to the client.
func (e *Emulator) sendBack(w http.ResponseWriter, r *http.Request, q url.Values, no *refusal) {
	answer := url.Values{"error": {no.code}, "error_description": {e.describe(no)}}
	if q.Has("state") {
		answer.Set("state", q.Get("state"))
	}
	redirectBack(w, r, q.Get("redirect_uri"), answer)
}
