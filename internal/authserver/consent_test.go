// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clients"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

func TestSec_A04_ConsentComesFromOurPage(t *testing.T) {
	t.Parallel()
	const evil = "https://evil.example"
	own := "https://mcp.example.com"
	fetch := func(site, mode, dest string) []string {
		return []string{"Sec-Fetch-Site", site, "Sec-Fetch-Mode", mode, "Sec-Fetch-Dest", dest}
	}
	good := fetch("same-origin", "navigate", "document")
	for _, c := range []struct {
		name   string
		header []string
		ok     bool
	}{
		{"browser", append(good, "Origin", own), true},
		// Browsers send this from a page without a referrer.
		{"browser, origin null", append(good, "Origin", "null"), true},
		{"browser, no origin", good, true},
		{"browser, other origin", append(good, "Origin", evil), false},
		{"old browser", []string{"Origin", own}, true},
		{"old browser, origin null", []string{"Origin", "null"}, false},
		{"nothing", nil, false},
		{"origin empty", []string{"Origin", ""}, false},
		{"other origin", []string{"Origin", evil}, false},
		{"origin with a longer name", []string{"Origin", own + ".evil.example"}, false},
		{"origin with another scheme", []string{"Origin", "http://mcp.example.com"}, false},
		{"origin with a port", []string{"Origin", own + ":8443"}, false},
		{"cross-site", append(fetch("cross-site", "navigate", "document"), "Origin", own), false},
		{"same-site", append(fetch("same-site", "navigate", "document"), "Origin", own), false},
		{"none", append(fetch("none", "navigate", "document"), "Origin", own), false},
		{"unknown site", append(fetch("whatever", "navigate", "document"), "Origin", own), false},
		{"script", append(fetch("same-origin", "cors", "empty"), "Origin", own), false},
		{"no-cors", append(fetch("same-origin", "no-cors", "document"), "Origin", own), false},
		{"frame", append(fetch("same-origin", "navigate", "iframe"), "Origin", own), false},
		{"site alone", []string{"Sec-Fetch-Site", "same-origin", "Origin", own}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.browser()
			_, form := b.open(t, ask(w.register(t, claude), claude))
			w.store.Set(faulty.None)
			rec := b.send(request(http.MethodPost, issuer+"/login/continue", form.Encode(), append(c.header, "Content-Type", formType)...))
			if c.ok {
				wantRedirect(t, rec, http.StatusSeeOther, idp)
				return
			}
			wantPage(t, rec, http.StatusForbidden, "This form cannot be accepted")
			if w.store.Writes() != 0 || w.provider.asked() != 0 {
				t.Error("a login came into being")
			}
		})
	}
}

func TestSec_A04_FormKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	for name, attack := range map[string]func(b *browser, form url.Values){
		"no cookie":  func(b *browser, _ url.Values) { clear(b.cookies) },
		"no key":     func(_ *browser, form url.Values) { form.Del("key") },
		"empty both": func(b *browser, form url.Values) { form.Set("key", ""); eachCookie(b, "") },
		"made up":    func(b *browser, form url.Values) { form.Set("key", "AAAA"); eachCookie(b, "AAAA") },
		"changed":    func(_ *browser, form url.Values) { form.Set("key", "B"+form.Get("key")[1:]) },
		"other page": func(b *browser, form url.Values) { _, f := b.open(t, ask(id, claude)); form.Set("key", f.Get("key")) },
		"other token": func(b *browser, form url.Values) {
			page, _ := w.browser().open(t, ask(id, claude))
			form.Set("token", param(t, page, "token"))
		},
	} {
		b := w.browser()
		page, form := b.open(t, ask(id, claude))
		attack(b, form)
		w.store.Set(faulty.None)
		rec := b.submit(form)
		if rec.Code != http.StatusForbidden || w.store.Writes() != 0 {
			t.Errorf("%s: %d %s, %d writes", name, rec.Code, heading(rec), w.store.Writes())
		}
		if name != "other token" && wayOn(t, rec) != page {
			t.Errorf("%s: way on is %q", name, wayOn(t, rec))
		}
	}
}

func eachCookie(b *browser, value string) {
	for _, c := range b.cookies {
		c.Value = value
	}
}

func TestSec_A10_PlantedCookies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	mallory, b := w.browser(), w.browser()
	_, theirs := mallory.open(t, ask(id, claude))
	for name, c := range mallory.cookies {
		b.cookies[name], b.ends[name] = c, mallory.ends[name]
	}
	_, mine := b.open(t, ask(id, claude))
	if mine.Get("key") == theirs.Get("key") {
		t.Error("a planted form key was taken over")
	}
	b.leave(t, mine)
}

func TestSec_A11_ConsentTokenReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	t.Run("late", func(t *testing.T) {
		b := w.browser()
		page, form := b.open(t, ask(id, claude))
		w.clock.Advance(loginTokenLife - time.Second)
		b.show(t, page)
		w.clock.Advance(time.Second)
		wantPage(t, b.get(page), http.StatusBadRequest, "This sign-in has expired")
		wantPage(t, b.submit(form), http.StatusBadRequest, "This sign-in has expired")
		if len(b.cookies) != 0 {
			t.Errorf("K05: cookies left: %v", b.names())
		}
	})
	t.Run("changed", func(t *testing.T) {
		b := w.browser()
		page, form := b.open(t, ask(id, claude))
		token := form.Get("token")
		for i := range len(token) {
			flipped := []byte(token)
			flipped[i] ^= 1
			form.Set("token", string(flipped))
			if rec := b.submit(form); rec.Code != http.StatusBadRequest {
				t.Fatalf("byte %d: %d %s", i, rec.Code, heading(rec))
			}
		}
		for _, bad := range []string{token + "A", token[:len(token)-1], token + "=", "", strings.Repeat("A", maxLoginToken+1)} {
			wantPage(t, b.get(issuer+"/login?token="+url.QueryEscape(bad)), http.StatusBadRequest, "This sign-in has expired")
		}
		wantPage(t, b.get(page+"&token="+token), http.StatusBadRequest, "This request cannot be used")
	})
	t.Run("other site", func(t *testing.T) {
		other := newWorld(t, func(s *setup) { s.issuer = "https://mcp.example.com/two" })
		page, _ := other.browser().open(t, ask(other.register(t, claude), claude))
		wantPage(t, w.browser().get(strings.Replace(page, "/two", "/oauth", 1)), http.StatusBadRequest, "This sign-in has expired")
	})
	t.Run("client gone", func(t *testing.T) {
		b := w.browser()
		page, form := b.open(t, ask(staticID, portal))
		w.Rules.Static = nil
		wantPage(t, b.get(page), http.StatusBadRequest, "This app is not registered here")
		wantPage(t, b.submit(form), http.StatusBadRequest, "This app is not registered here")
	})
	t.Run("redirect gone", func(t *testing.T) {
		b := w.browser()
		page, form := b.open(t, ask(id, claude))
		w.Rules.RedirectHosts = []string{"elsewhere.example"}
		defer func() { w.Rules.RedirectHosts = nil }()
		wantPage(t, b.get(page), http.StatusBadRequest, "The return address does not match")
		wantPage(t, b.submit(form), http.StatusBadRequest, "The return address does not match")
	})
}

func TestSec_A12_FormSaysNothingButYesOrNo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	b := w.browser()
	_, form := b.open(t, ask(id, claude))
	for _, extra := range []string{"scope", "redirect_uri", "client_id", "resource", "state", "code_challenge"} {
		form.Set(extra, "https://evil.example/admin")
	}
	target := wantRedirect(t, b.get(b.leave(t, form)), http.StatusSeeOther, claude+"?code=")
	got := wantTokens(t, w.tokenCall(exchange(id, param(t, target, "code"))))
	if got.Scope != "mcp" || param(t, target, "state") != "st&te=1" {
		t.Errorf("%+v to %s", got, target)
	}
	b = w.browser()
	_, form = b.open(t, ask(id, claude))
	form.Set("decision", "maybe")
	wantPage(t, b.submit(form), http.StatusBadRequest, "This request cannot be used")
}

func TestSec_A13_Deny(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, stranger)
	for _, state := range []string{"st&te=1", "-", ""} {
		b := w.browser()
		_, form := b.open(t, ask(id, stranger, "state", state))
		w.store.Set(faulty.None)
		form.Set("decision", "cancel")
		rec := b.submit(form)
		want := stranger + "?error=access_denied&error_description=The%20person%20did%20not%20agree.&iss=" + url.QueryEscape(issuer)
		if state != "-" {
			want += "&state=" + url.QueryEscape(state)
		}
		if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != want {
			t.Errorf("%d to %s, want %s", rec.Code, rec.Header().Get("Location"), want)
		}
		if w.store.Writes() != 0 || w.provider.asked() != 0 || len(b.cookies) != 0 {
			t.Errorf("%d writes, cookies %v", w.store.Writes(), b.names())
		}
	}
	if n := w.events.count(event.LoginDenied); n != 3 {
		t.Errorf("%d events", n)
	}
}

func TestSec_K06_Methods(t *testing.T) {
	t.Parallel()
	w := newWorld(t, introspecting)
	b := w.browser()
	_, form := b.open(t, ask(w.register(t, claude), claude))
	w.store.Set(faulty.None)
	for endpoint, e := range endpoints {
		for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "BREW"} {
			if slices.Contains(e.methods, m) || e.cors && m == "OPTIONS" {
				continue
			}
			rec := b.send(request(m, issuer+"/"+endpoint+"?"+form.Encode(), "", "X-HTTP-Method-Override", "POST", "Content-Type", formType))
			if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != strings.Join(e.methods, ", ") {
				t.Errorf("%s %s: %d, Allow %q", m, endpoint, rec.Code, rec.Header().Get("Allow"))
			}
		}
	}
	if w.store.Writes() != 0 {
		t.Error("something was written")
	}
	rec := b.send(request(http.MethodPost, issuer+"/login/continue?decision=continue", form.Encode(), "Content-Type", formType, "Origin", w.origin))
	wantPage(t, rec, http.StatusBadRequest, "This request cannot be used")
}

func TestSec_G_NothingOfTheClientReachesTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *setup) {
		s.rules.Static = []clients.Static{{ID: "c", RedirectURIs: []string{claude}}}
	})
	for i := range 2 {
		b := w.browser()
		_, form := b.open(t, ask("c", claude, "prompt", "login", "login_hint", "x", "scope", "mcp tickets"))
		b.leave(t, form)
		r := w.provider.urls[i]
		if r.RedirectURI != issuer+"/callback" || r.SelectAccount {
			t.Errorf("%+v", r)
		}
	}
	// C03: state, nonce and challenge are strangers to each other and to the last login.
	a, b := w.provider.urls[0], w.provider.urls[1]
	seen := map[string]bool{challenge: true, verifier: true}
	for _, v := range []string{a.State, a.Nonce.Reveal(), a.Challenge, b.State, b.Nonce.Reveal(), b.Challenge} {
		if seen[v] || len(v) < 43 {
			t.Errorf("%q", v)
		}
		seen[v] = true
	}
}
