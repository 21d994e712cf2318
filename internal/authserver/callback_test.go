// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

func TestSec_A02_OtherBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, stranger)
	mallory, victim := w.browser(), w.browser()
	_, form := mallory.open(t, ask(id, stranger))
	callback := mallory.leave(t, form)
	asked := w.provider.asked()

	rec := victim.get(callback)
	wantPage(t, rec, http.StatusBadRequest, "This sign-in was started elsewhere")
	if w.provider.asked() != asked || w.events.count(event.CodeIssued) != 0 || w.events.count(event.BrowserMismatch) != 1 {
		t.Error("the answer was used, or nobody noticed")
	}
	// It is dead for the one who started it, too.
	wantPage(t, mallory.get(callback), http.StatusBadRequest, "This sign-in was already used")
	if w.events.count(event.CodeIssued) != 0 {
		t.Error("a code was issued")
	}
	// The way on shows the consent page in the victim's browser, and no more.
	fresh := wayOn(t, rec)
	victim.show(t, fresh)
	if w.provider.asked() != asked {
		t.Error("the way on went to the provider")
	}
}

func TestSec_A02_WrongCookie(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	for _, value := range []string{"", "AAAA", strings.Repeat("A", 43)} {
		b := w.browser()
		_, form := b.open(t, ask(id, claude))
		callback := b.leave(t, form)
		eachCookie(b, value)
		wantPage(t, b.get(callback), http.StatusBadRequest, "This sign-in was started elsewhere")
		if len(b.cookies) != 0 {
			t.Errorf("cookies left: %v", b.names())
		}
	}
}

func TestSec_C10_CallbackReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	b := w.browser()
	_, form := b.open(t, ask(id, claude))
	callback := b.leave(t, form)
	kept := map[string]*http.Cookie{}
	for n, c := range b.cookies {
		kept[n] = c
	}
	wantRedirect(t, b.get(callback), http.StatusSeeOther, claude+"?code=")
	for n, c := range kept {
		b.cookies[n] = c
	}
	rec := b.get(callback)
	wantPage(t, rec, http.StatusBadRequest, "This sign-in was already used")
	if len(b.cookies) != 0 || len(w.provider.exchanges) != 1 {
		t.Errorf("cookies %v, %d exchanges", b.names(), len(w.provider.exchanges))
	}
	w.browser().show(t, wayOn(t, rec))

	_, form = b.open(t, ask(id, claude))
	late := b.leave(t, form)
	w.clock.Advance(grants.LoginLife)
	wantPage(t, b.get(late), http.StatusBadRequest, "This sign-in has expired")
	if len(b.cookies) != 0 {
		t.Errorf("cookies left: %v", b.names())
	}
}

func TestSec_C10_OnlyOneAnswerWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	_, form := b.open(t, ask(w.register(t, claude), claude))
	callback := b.leave(t, form)
	cookies := b.cookies
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 32 {
		wg.Go(func() {
			r := request(http.MethodGet, callback, "")
			for _, c := range cookies {
				r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
			}
			if w.call(r).Code == http.StatusSeeOther {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if won != 1 || len(w.provider.exchanges) != 1 {
		t.Errorf("%d won, %d exchanges", won, len(w.provider.exchanges))
	}
}

func TestSec_C10_InventedStateCostsNoRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	_, form := b.open(t, ask(w.register(t, claude), claude))
	state := param(t, b.leave(t, form), "state")
	w.store.Set(faulty.None)
	other := "B"
	if state[:1] == other {
		other = "C"
	}
	for _, bad := range []string{"", "x", strings.Repeat("A", 64), state[:63], state + "A", state[:63] + "=", other + state[1:], strings.ToUpper(state), strings.Repeat("A", 8000)} {
		wantPage(t, b.get(issuer+"/callback?code=c&state="+url.QueryEscape(bad)), http.StatusBadRequest, "This sign-in has expired")
	}
	if w.store.Reads() != 0 {
		t.Errorf("%d reads", w.store.Reads())
	}
}

func TestSec_C11_CallbackParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	_, form := b.open(t, ask(w.register(t, claude), claude))
	callback := b.leave(t, form)
	s := "state=" + param(t, callback, "state")
	for _, q := range []string{
		s + "&code=a&code=b", s + "&" + s + "&code=a", s + "&code=a&error=access_denied", s, s + "&code=", s + "&error=", s + "&code=&error=",
		s + "&code=a%00b", s + "&code=a%ff", s + "&code=%zz", s + "&code=a;b", s + "&code=a" + strings.Repeat("&x", 40),
	} {
		wantPage(t, b.get(issuer+"/callback?"+q), http.StatusBadRequest, "This request cannot be used")
	}
	if len(w.provider.exchanges) != 0 {
		t.Error("something was redeemed")
	}
	// None of that ended the login.
	wantRedirect(t, b.get(callback+"&session_state=x"), http.StatusSeeOther, claude+"?code=")
}

func TestSec_C11_ProviderErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code, page string
		status     int
	}{
		{"access_denied", "", http.StatusSeeOther},
		{"server_error", "Temporarily unavailable", 503},
		{"temporarily_unavailable", "Temporarily unavailable", 503},
		{"login_required", "Sign-in was not completed", 400},
		{"<script>alert(1)</script>", "Sign-in was not completed", 400},
	} {
		w := newWorld(t)
		b := w.browser()
		_, form := b.open(t, ask(w.register(t, claude), claude))
		state := param(t, b.leave(t, form), "state")
		text := "AADSTS50105: the user 'alice@contoso.example' <script>alert(2)</script>"
		rec := b.get(issuer + "/callback?" + url.Values{"state": {state}, "error": {c.code}, "error_description": {text}}.Encode())
		if len(b.cookies) != 0 || len(w.provider.exchanges) != 0 {
			t.Errorf("%s: cookies %v", c.code, b.names())
		}
		if s := rec.Body.String() + rec.Header().Get("Location"); strings.Contains(s, "script>") || strings.Contains(s, "AADSTS") {
			t.Errorf("C12: reflected: %s", s)
		}
		if log := w.logs.String() + lastCause(w); !strings.Contains(log, "AADSTS50105") || strings.Contains(log, "alice") {
			t.Errorf("%s: logged %s", c.code, log)
		}
		if c.page == "" {
			wantErrorRedirect(t, rec.Header().Get("Location"), claude, "access_denied", true)
			continue
		}
		wantPage(t, rec, c.status, c.page)
		b.show(t, wayOn(t, rec))
		wantPage(t, b.get(issuer+"/callback?code=x&state="+state), http.StatusBadRequest, "This sign-in was already used")
	}
}

// lastCause is the cause of the last event, which the sink writes to the log.
func lastCause(w *world) string {
	if n := len(w.events.events); n > 0 && w.events.events[n-1].Cause != nil {
		return w.events.events[n-1].Cause.Error()
	}
	return ""
}

func TestRedirectErrorIsShortAndNamesNobody(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"AADSTS700016: x":                     `provider redirected with error "e" AADSTS700016`,
		"alice: x":                            `provider redirected with error "e" `,
		"AADSTS" + strings.Repeat("1", 500):   `provider redirected with error "e" AADSTS11111111111111`,
		"":                                    `provider redirected with error "e" `,
		"\x1b[31m" + strings.Repeat("1", 500): `provider redirected with error "e" `,
	} {
		if got := redirectError(url.Values{"error": {"e"}, "error_description": {text}}).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := redirectError(url.Values{"error": {strings.Repeat("\n", 500)}}).Error(); len(got) > 200 || strings.Contains(got, "\n") {
		t.Errorf("%d %q", len(got), got)
	}
}

func TestNothingOfALoginIsLogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	b := w.browser()
	page, form := b.open(t, ask(id, claude))
	callback := b.leave(t, form)
	code := param(t, b.get(callback).Header().Get("Location"), "code")
	b.get(callback)
	w.clock.Advance(time.Hour)
	b.get(page)
	b.submit(form)
	w.tokenCall(exchange(id, code))
	for _, s := range []string{form.Get("token"), form.Get("key"), code, param(t, callback, "state"), verifier, "idp-code"} {
		for i := 0; i+16 <= len(s) && len(s) >= 16; i++ {
			if strings.Contains(w.logs.String(), s[i:i+16]) {
				t.Fatalf("the log has %q", s)
			}
		}
	}
	if strings.Contains(w.logs.String(), `"WARN"`) {
		t.Errorf("M12: what anybody can provoke is a warning:\n%s", w.logs)
	}
}

func TestHangingUpIsNoWarning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, issuer+"/authorize", nil)
	w.record(r, Call{}, http.StatusServiceUnavailable, errors.New("the store is away"))
	if !strings.Contains(w.logs.String(), `"WARN"`) {
		t.Errorf("an unknown outcome is no warning:\n%s", w.logs)
	}
	cancel()
	w.logs = &logLines{}
	w.Log = slog.New(slog.NewJSONHandler(w.logs, nil))
	w.record(r, Call{}, http.StatusServiceUnavailable, context.Canceled)
	if strings.Contains(w.logs.String(), `"WARN"`) {
		t.Errorf("M12: a client that hangs up is a warning:\n%s", w.logs)
	}
}

func TestSec_B09_StateCannotAddParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, "https://stranger.example/cb?tenant=a%20b&")
	for _, state := range []string{"x&iss=evil&code=y", "x#fragment", "\r\nLocation: https://evil.example", "%26code%3Dy", "a+b c", "日本"} {
		q := ask(id, "https://stranger.example/cb?tenant=a%20b&", "state", state)
		b := w.browser()
		_, form := b.open(t, q)
		target := b.get(b.leave(t, form)).Header().Get("Location")
		u, err := url.Parse(target)
		if err != nil || !strings.HasPrefix(target, "https://stranger.example/cb?tenant=a%20b&code=mcpo_ac_") || u.Fragment != "" {
			t.Fatalf("%q: %s, %v", state, target, err)
		}
		got := u.Query()
		if len(got) != 4 || len(got["iss"]) != 1 || got.Get("iss") != issuer || len(got["code"]) != 1 || got.Get("state") != state {
			t.Errorf("%q: %v", state, got)
		}
	}
}
