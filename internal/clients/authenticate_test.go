// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

// tokenRequest is a request to the token endpoint with headers as given and the form.
func tokenRequest(form url.Values, authorization ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(form.Encode()))
	for _, a := range authorization {
		r.Header.Add("Authorization", a)
	}
	return r
}

func basic(id, sec string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+sec))
}

func form(pairs ...string) url.Values {
	v := url.Values{"grant_type": {"authorization_code"}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

const oddSecret = "p%41 s+w/o=rd:&é"

var statics = []Static{
	{ID: "public-app", Name: "Public", RedirectURIs: []string{"https://app.example/cb"}},
	{ID: "app", Name: "App", Secrets: []secret.String{secret.New("old"), secret.New("new"), secret.New("")}, RedirectURIs: []string{"https://app.example/cb"}},
	{ID: "unset", Secrets: []secret.String{secret.New("")}},
	{ID: "odd id+%41", Secrets: []secret.String{secret.New(oddSecret)}},
}

type authCase struct {
	header []string
	form   url.Values
	id     string // of the client that is accepted
	code   oauth.Code
}

func authCases(public, confidential, sec string) map[string]authCase {
	esc := url.QueryEscape
	return map[string]authCase{
		// The TypeScript and Python SDKs, mcp-remote and VS Code as public clients.
		"public, client_id in the form": {nil, form("client_id", public), public, ""},
		// The Go SDK tries Basic with an empty secret first.
		"public, Basic with empty secret":         {[]string{basic(esc(public), "")}, form(), public, ""},
		"public, Basic and client_id":             {[]string{basic(public, "")}, form("client_id", public), public, ""},
		"public, Basic without colon":             {[]string{"Basic " + base64.StdEncoding.EncodeToString([]byte(public))}, form(), "", oauth.InvalidClient},
		"public, empty client_secret (C#)":        {nil, form("client_id", public, "client_secret", ""), public, ""},
		"public with a secret":                    {nil, form("client_id", public, "client_secret", "x"), "", oauth.InvalidClient},
		"public with a secret in Basic":           {[]string{basic(public, "x")}, form(), "", oauth.InvalidClient},
		"public with another's secret":            {nil, form("client_id", public, "client_secret", sec), "", oauth.InvalidClient},
		"static public":                           {nil, form("client_id", "public-app"), "public-app", ""},
		"Bearer is no client authentication":      {[]string{"Bearer x"}, form("client_id", public), public, ""},
		"empty Basic":                             {[]string{basic("", "")}, form("client_id", public), public, ""},
		"confidential, post":                      {nil, form("client_id", confidential, "client_secret", sec), confidential, ""},
		"confidential, Basic raw (TypeScript)":    {[]string{basic(confidential, sec)}, form(), confidential, ""},
		"confidential, Basic urlencoded (Python)": {[]string{basic(esc(confidential), esc(sec))}, form(), confidential, ""},
		"confidential, scheme in lower case":      {[]string{"basic " + strings.TrimPrefix(basic(confidential, sec), "Basic ")}, form(), confidential, ""},
		"confidential, the same twice":            {[]string{basic(confidential, sec)}, form("client_id", confidential, "client_secret", sec), confidential, ""},
		"confidential, id in Basic, secret in form": {
			[]string{basic(confidential, "")}, form("client_id", confidential, "client_secret", sec), confidential, "",
		},
		"confidential without secret":          {nil, form("client_id", confidential), "", oauth.InvalidClient},
		"confidential with empty secret":       {nil, form("client_id", confidential, "client_secret", ""), "", oauth.InvalidClient},
		"confidential, wrong secret":           {nil, form("client_id", confidential, "client_secret", sec+"x"), "", oauth.InvalidClient},
		"confidential, shorter secret":         {nil, form("client_id", confidential, "client_secret", sec[:len(sec)-1]), "", oauth.InvalidClient},
		"confidential, secret with space":      {nil, form("client_id", confidential, "client_secret", sec+" "), "", oauth.InvalidClient},
		"two different secrets":                {[]string{basic(confidential, sec)}, form("client_secret", "x"), "", oauth.InvalidRequest},
		"two different clients":                {[]string{basic(confidential, sec)}, form("client_id", public), "", oauth.InvalidRequest},
		"two Authorization headers":            {[]string{basic(confidential, sec), basic(confidential, sec)}, form(), "", oauth.InvalidClient},
		"static, first secret":                 {nil, form("client_id", "app", "client_secret", "old"), "app", ""},
		"static, second secret":                {[]string{basic("app", "new")}, form(), "app", ""},
		"static, both readings of a secret":    {[]string{basic("app", "n%65w")}, form(), "app", ""},
		"static, form is read once":            {nil, form("client_id", "app", "client_secret", "n%65w"), "", oauth.InvalidClient},
		"static, an empty configured secret":   {nil, form("client_id", "app"), "", oauth.InvalidClient},
		"static, odd, raw Basic":               {[]string{basic("odd id+%41", oddSecret)}, form(), "odd id+%41", ""},
		"static, odd, urlencoded Basic":        {[]string{basic(esc("odd id+%41"), esc(oddSecret))}, form(), "odd id+%41", ""},
		"static, odd, post":                    {nil, form("client_id", "odd id+%41", "client_secret", oddSecret), "odd id+%41", ""},
		"static, odd, Basic and form":          {[]string{basic(esc("odd id+%41"), esc(oddSecret))}, form("client_id", "odd id+%41", "client_secret", oddSecret), "odd id+%41", ""},
		"static, its secret is unset":          {nil, form("client_id", "unset"), "", oauth.InvalidClient},
		"static, its secret is unset, Basic":   {[]string{basic("unset", "")}, form(), "", oauth.InvalidClient},
		"unknown":                              {nil, form("client_id", "nobody"), "", oauth.InvalidClient},
		"unknown, of the right form":           {nil, form("client_id", "dcr_"+strings.Repeat("A", 43)), "", oauth.InvalidClient},
		"unknown in Basic":                     {[]string{basic("nobody", "x")}, form(), "", oauth.InvalidClient},
		"nobody":                               {nil, form(), "", oauth.InvalidClient},
		"empty client_id":                      {nil, form("client_id", ""), "", oauth.InvalidClient},
		"Basic without id":                     {[]string{basic("", "x")}, form("client_id", public), "", oauth.InvalidClient},
		"Basic that is not base64":             {[]string{"Basic !!!"}, form("client_id", public), "", oauth.InvalidClient},
		"Basic that is not UTF-8":              {[]string{basic("\xff", "x")}, form(), "", oauth.InvalidClient},
		"Basic alone":                          {[]string{"Basic"}, form("client_id", public), "", oauth.InvalidClient},
		"an assertion":                         {nil, form("client_id", public, "client_assertion", "x"), "", oauth.InvalidClient},
		"an assertion type":                    {nil, form("client_id", public, "client_assertion_type", "x"), "", oauth.InvalidClient},
		"id in another case":                   {nil, form("client_id", strings.ToUpper(public)), "", oauth.InvalidClient},
		"id with a space":                      {nil, form("client_id", public+" "), "", oauth.InvalidClient},
		"id cut short":                         {nil, form("client_id", public[:len(public)-1]), "", oauth.InvalidClient},
		"static name with the dynamic's":       {nil, form("client_id", "app", "client_secret", sec), "", oauth.InvalidClient},
		"dynamic id with the static's secrets": {nil, form("client_id", confidential, "client_secret", "old"), "", oauth.InvalidClient},
	}
}

func TestSec_E05_Authenticate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pub := w.register(t, `{"redirect_uris":["https://a.example/"]}`)
	conf := w.register(t, `{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"client_secret_post"}`)
	with := rules
	with.Static = statics
	for name, tt := range authCases(pub.ClientID, conf.ClientID, conf.ClientSecret.Reveal()) {
		c, err := w.Authenticate(t.Context(), with, tokenRequest(tt.form, tt.header...), tt.form)
		switch {
		case tt.id != "" && (err != nil || c.ID != tt.id):
			t.Errorf("%s: %+v, %v; want %s", name, c, err, tt.id)
		case tt.code == oauth.InvalidClient:
			wantNo(t, name, err, tt.code, 401)
		case tt.code != "":
			wantNo(t, name, err, tt.code, 400)
		}
		if err != nil && c != nil {
			t.Errorf("%s: a client beside the error", name)
		}
	}
}

func TestAuthenticateStoreDownIsUnknown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pub := w.register(t, `{"redirect_uris":["https://a.example/"]}`)
	w.store.fail.Store(true)
	f := form("client_id", pub.ClientID)
	if _, err := w.Authenticate(t.Context(), rules, tokenRequest(f), f); err == nil || oauth.AsError(err) != nil {
		t.Errorf("got %v, want an unknown outcome", err)
	}
	w.store.reset()
	for _, id := range []string{"x", "", "dcr_", "dcr_" + strings.Repeat("*", 43), "https://claude.ai/x", strings.Repeat("A", 47), "dcr_" + strings.Repeat("A", 44)} {
		if _, err := w.Find(t.Context(), rules, id); oauth.AsError(err) == nil {
			t.Errorf("Find(%q) = %v", id, err)
		}
	}
	if n := w.store.reads.Load(); n != 0 {
		t.Errorf("malformed ids cost %d reads", n)
	}
}

func TestUsedBasic(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{"": false, "Bearer x": false, "Basic x": true, "basic x": true, "Basic": true, "Basicx y": false} {
		r := tokenRequest(nil)
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		if got := UsedBasic(r); got != want {
			t.Errorf("UsedBasic(%q) = %v", header, got)
		}
	}
}

// FuzzBasic: every header ends in credentials or a definite no; the credentials that
// net/http reads are among the readings, and so are their decoded forms.
func FuzzBasic(f *testing.F) {
	f.Add(basic("id", "secret"), "id", "secret")
	f.Add(basic("a%20b", "%zz"), "", "")
	f.Add("Basic \x00", "a", "")
	f.Add("bAsIc  "+base64.StdEncoding.EncodeToString([]byte("a+b:")), "a b", "c")
	f.Fuzz(func(t *testing.T, header, id, sec string) {
		r := tokenRequest(nil)
		r.Header["Authorization"] = []string{header}
		c, err := credentialsOf(r, url.Values{"client_id": {id}, "client_secret": {sec}})
		if err != nil {
			if oauth.AsError(err) == nil {
				t.Fatalf("%q: %v", header, err)
			}
			return
		}
		if len(c.ids) == 0 {
			t.Fatalf("%q: nobody", header)
		}
		for _, s := range append(c.ids, c.secrets...) {
			if s == "" || s != id && s != sec && !utf8.ValidString(s) {
				t.Fatalf("%q: reading %q", header, s)
			}
		}
		user, pass, ok := r.BasicAuth()
		if !ok || user == "" {
			return
		}
		if id == "" && c.ids[len(c.ids)-1] != user || sec == "" && pass != "" && c.secrets[len(c.secrets)-1] != pass {
			t.Fatalf("%q: read %q, net/http reads %q %q", header, c, user, pass)
		}
		if id != "" && c.ids[0] != id || sec != "" && c.secrets[0] != sec {
			t.Fatalf("%q: %q against the form", header, c)
		}
	})
}
