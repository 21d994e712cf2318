// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
)

// redirectURI and registration are those of a hosted client that registers itself.
const (
	redirectURI  = "https://claude.ai/api/mcp/auth_callback"
	registration = `{"client_name":"Claude","redirect_uris":["` + redirectURI +
		`"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"scope":"mcp","token_endpoint_auth_method":"none"}`
)

// client is a registered client of a site.
type client struct {
	*site
	up *upstream
	id string
}

// pair is what a sign-in ends with.
type pair struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// newClient registers a client.
func newClient(s *site) (*client, error) {
	up, err := startUpstream()
	if err != nil {
		return nil, err
	}
	w, err := s.register()
	if err != nil {
		return nil, err
	}
	var answer struct {
		ID string `json:"client_id"`
	}
	err = json.Unmarshal(w.Body.Bytes(), &answer)
	return &client{site: s, up: up, id: answer.ID}, err
}

func (s *site) register() (*httptest.ResponseRecorder, error) {
	r, err := s.request(http.MethodPost, "/oauth/register", registration)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	return s.serve(r, http.StatusCreated)
}

// authorize sends the authorization request and returns the path of the login page.
func (c *client) authorize(verifier string) (string, error) {
	q := url.Values{
		"response_type": {"code"}, "client_id": {c.id}, "redirect_uri": {redirectURI}, "state": {"state"},
		"resource": {"https://" + c.host + "/mcp"}, "scope": {"mcp"},
		"code_challenge": {pkce.Challenge(verifier)}, "code_challenge_method": {"S256"},
	}
	return c.redirected(http.MethodGet, "/oauth/authorize?"+q.Encode(), "", nil, http.StatusFound)
}

// redirected sends a request and returns where the answer leads: a path on this site, or
// a URL elsewhere. jar is the browser's cookies.
func (c *client) redirected(method, path, body string, jar *[]*http.Cookie, status int) (string, error) {
	w, err := c.browse(method, path, body, jar, status)
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(w.Header().Get("Location"), "https://"+c.host), nil
}

// browse sends a request as a browser does and keeps the cookies of the answer.
func (c *client) browse(method, path, body string, jar *[]*http.Cookie, status int) (*httptest.ResponseRecorder, error) {
	r, err := c.request(method, path, body)
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "https://"+c.host)
	}
	if jar == nil {
		return c.serve(r, status)
	}
	for _, k := range *jar {
		r.AddCookie(k)
	}
	w, err := c.serve(r, status)
	if err != nil {
		return nil, err
	}
	*jar = append(*jar, w.Result().Cookies()...)
	return w, nil
}

// code walks a new browser from the authorization request to the client's code.
func (c *client) code(verifier string) (string, error) {
	var jar []*http.Cookie
	login, err := c.authorize(verifier)
	if err != nil {
		return "", err
	}
	page, err := c.browse(http.MethodGet, login, "", &jar, http.StatusOK)
	if err != nil {
		return "", err
	}
	html := page.Body.String()
	form := url.Values{"token": {field(html, "token")}, "key": {field(html, "key")}, "decision": {"continue"}}
	away, err := c.redirected(http.MethodPost, "/oauth/login/continue", form.Encode(), &jar, http.StatusSeeOther)
	if err != nil {
		return "", err
	}
	back, err := c.up.visit(away)
	if err != nil {
		return "", err
	}
	end, err := c.redirected(http.MethodGet, strings.TrimPrefix(back, "https://"+c.host), "", &jar, http.StatusSeeOther)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(end)
	if err != nil {
		return "", err
	}
	if u.Query().Get("code") == "" {
		return "", fmt.Errorf("the client gets no code: %s", end)
	}
	return u.Query().Get("code"), nil
}

// field is the value of a hidden field of the page.
func field(html, name string) string {
	_, rest, _ := strings.Cut(html, `name="`+name+`" value="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// redeem trades a code.
func (c *client) redeem(code, verifier string) (pair, error) {
	return c.token(url.Values{
		"grant_type": {"authorization_code"}, "client_id": {c.id}, "code": {code},
		"redirect_uri": {redirectURI}, "code_verifier": {verifier}, "resource": {"https://" + c.host + "/mcp"},
	})
}

// refresh trades a refresh token.
func (c *client) refresh(token string) (pair, error) {
	return c.token(url.Values{"grant_type": {"refresh_token"}, "client_id": {c.id}, "refresh_token": {token}})
}

func (c *client) token(form url.Values) (p pair, err error) {
	r, err := c.request(http.MethodPost, "/oauth/token", form.Encode())
	if err != nil {
		return p, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w, err := c.serve(r, http.StatusOK)
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal(w.Body.Bytes(), &p)
}

// signIn is the whole login of one person.
func (c *client) signIn() (pair, error) {
	verifier, err := pkce.NewVerifier(rand.Reader)
	if err != nil {
		return pair{}, err
	}
	code, err := c.code(verifier)
	if err != nil {
		return pair{}, err
	}
	return c.redeem(code, verifier)
}
