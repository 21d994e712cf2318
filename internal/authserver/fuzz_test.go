// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// FuzzAuthorize: no query makes authorize fail, write, or leave for somewhere that is
// neither our page nor a registered address.
func FuzzAuthorize(f *testing.F) {
	w := newWorld(f)
	id := w.register(f, claude)
	f.Add(ask(id, claude).Encode())
	f.Add(ask(staticID, portal).Encode())
	for _, c := range authorizeErrors {
		f.Add(ask(id, claude, c.changes...).Encode())
	}
	for _, h := range hostile {
		f.Add(h)
		f.Add("client_id=" + id + "&redirect_uri=" + url.QueryEscape(h))
	}
	w.store.Set(faulty.None)
	f.Fuzz(func(t *testing.T, query string) {
		r := request(http.MethodGet, issuer+"/authorize", "")
		r.URL.RawQuery = query
		rec := w.call(r)
		if rec.Code >= 500 || w.store.Writes() != 0 {
			t.Fatalf("%d, %d writes", rec.Code, w.store.Writes())
		}
		if target := rec.Header().Get("Location"); target != "" {
			u, err := url.Parse(target)
			if err != nil || u.Host != "mcp.example.com" && u.Host != "claude.ai" && u.Host != "portal.example" {
				t.Fatalf("%q leads to %q", query, target)
			}
		}
	})
}

// FuzzTokenForm: no body makes the token endpoint fail or give a token, with and without
// credentials.
func FuzzTokenForm(f *testing.F) {
	w := newWorld(f)
	id, _ := w.fresh(f)
	f.Add("grant_type=authorization_code&client_id="+id+"&code=x&code_verifier="+verifier, "")
	f.Add("grant_type=refresh_token&client_id="+id+"&refresh_token=mcpo_rt_x", basic(id, "")[1])
	f.Add("", "Basic "+id)
	for _, h := range hostile {
		f.Add(h, h)
		f.Add("grant_type="+url.QueryEscape(h)+"&client_id="+id, basic(h, h)[1])
	}
	f.Fuzz(func(t *testing.T, body, authorization string) {
		w.clock.Advance(1e9) // so that the limiter does not hide the code behind it
		r := request(http.MethodPost, issuer+"/token", body, "Content-Type", formType)
		if authorization != "" {
			r.Header["Authorization"] = []string{authorization}
		}
		rec := w.call(r)
		if rec.Code >= 500 || rec.Code < 400 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		wantJSON(t, rec.Body.Bytes())
	})
}

// FuzzCallback: no answer that is not the provider's ends or completes a login.
func FuzzCallback(f *testing.F) {
	w := newWorld(f)
	b := w.browser()
	_, form := b.open(f, ask(w.register(f, claude), claude))
	state := param(f, b.leave(f, form), "state")
	f.Add("state="+state+"A&code=x", "")
	f.Add("state="+state[:63]+"&error=access_denied", "x=y")
	f.Add("state=%00&code=x", "__Host-mcpo_b_d7365de9_0000000000000000=x")
	for _, h := range hostile {
		f.Add(h, h)
		f.Add("code=x&state="+url.QueryEscape(h), h)
	}
	w.store.Set(faulty.None)
	f.Fuzz(func(t *testing.T, query, cookie string) {
		if q, _ := url.ParseQuery(query); q.Get("state") == state {
			return // the genuine one
		}
		r := request(http.MethodGet, issuer+"/callback", "")
		r.URL.RawQuery = query
		r.Header["Cookie"] = []string{cookie}
		if rec := w.call(r); rec.Code != http.StatusBadRequest || w.store.Writes() != 0 {
			t.Fatalf("%d %s", rec.Code, heading(rec))
		}
	})
}
