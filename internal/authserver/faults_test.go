// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

// surfaces are the steps of a sign-in. Each walks up to its step and returns the step, so
// that it can be taken while the store fails and again when it does not.
var surfaces = map[string]func(t *testing.T, w *world) (step func() *httptest.ResponseRecorder, b *browser){
	"authorize": func(t *testing.T, w *world) (func() *httptest.ResponseRecorder, *browser) {
		b, q := w.browser(), ask(w.register(t, claude), claude)
		return func() *httptest.ResponseRecorder { return b.get(w.authorizeURL(q)) }, b
	},
	"login": func(t *testing.T, w *world) (func() *httptest.ResponseRecorder, *browser) {
		b := w.browser()
		page, _ := b.open(t, ask(w.register(t, claude), claude))
		return func() *httptest.ResponseRecorder { return b.get(page) }, b
	},
	"login/continue": func(t *testing.T, w *world) (func() *httptest.ResponseRecorder, *browser) {
		b := w.browser()
		_, form := b.open(t, ask(w.register(t, claude), claude))
		return func() *httptest.ResponseRecorder { return b.submit(form) }, b
	},
	"callback": func(t *testing.T, w *world) (func() *httptest.ResponseRecorder, *browser) {
		b := w.browser()
		_, form := b.open(t, ask(w.register(t, claude), claude))
		callback := b.leave(t, form)
		return func() *httptest.ResponseRecorder { return b.get(callback) }, b
	},
	"token code": func(t *testing.T, w *world) (func() *httptest.ResponseRecorder, *browser) {
		id, code := w.fresh(t)
		return func() *httptest.ResponseRecorder { return w.tokenCall(exchange(id, code)) }, nil
	},
	"token refresh": func(t *testing.T, w *world) (func() *httptest.ResponseRecorder, *browser) {
		id, code := w.fresh(t)
		got := wantTokens(t, w.tokenCall(exchange(id, code)))
		return func() *httptest.ResponseRecorder {
			return w.tokenCall([]string{"grant_type", "refresh_token", "client_id", id, "refresh_token", got.Refresh})
		}, nil
	},
	"revoke": func(t *testing.T, w *world) (func() *httptest.ResponseRecorder, *browser) {
		id, got := w.tokens(t)
		return func() *httptest.ResponseRecorder { return w.revokeCall(id, got.Refresh) }, nil
	},
	"register": func(_ *testing.T, w *world) (func() *httptest.ResponseRecorder, *browser) {
		return func() *httptest.ResponseRecorder {
			return w.call(request("POST", issuer+"/register", `{"redirect_uris":["`+claude+`"]}`, "Content-Type", "application/json"))
		}, nil
	},
}

// faults are what the store does at a step, and what the same step says afterwards.
var faults = []struct {
	surface string
	mode    faulty.Fault
	op      faulty.Op
	kind    store.Kind
	then    int
}{
	{"authorize", faulty.Before, faulty.Get, "client", http.StatusFound},
	{"login", faulty.Before, faulty.Get, "client", http.StatusOK},
	{"login/continue", faulty.Before, faulty.Get, "client", http.StatusSeeOther},
	{"login/continue", faulty.Before, faulty.Get, "epoch", http.StatusSeeOther},
	{"login/continue", faulty.Before, faulty.Create, "login", http.StatusSeeOther},
	// The login exists: the same form finds it.
	{"login/continue", faulty.After, faulty.Create, "login", http.StatusSeeOther},
	{"callback", faulty.Before, faulty.Get, "login", http.StatusSeeOther},
	{"callback", faulty.Before, faulty.Update, "login", http.StatusSeeOther},
	// The answer was taken, so the person starts again.
	{"callback", faulty.After, faulty.Update, "login", http.StatusBadRequest},
	{"callback", faulty.Before, faulty.Get, "epoch", http.StatusBadRequest},
	{"callback", faulty.Before, faulty.Create, "code", http.StatusBadRequest},
	{"callback", faulty.After, faulty.Create, "code", http.StatusBadRequest},
	{"token code", faulty.Before, faulty.Get, "client", http.StatusOK},
	{"token code", faulty.Before, faulty.Get, "code", http.StatusOK},
	{"token code", faulty.Before, faulty.Update, "code", http.StatusOK},
	{"token code", faulty.After, faulty.Update, "code", http.StatusOK},
	{"token code", faulty.Before, faulty.Create, "grant", http.StatusOK},
	// The grant that nobody has seen is taken back.
	{"token code", faulty.Before, faulty.Get, "epoch", http.StatusOK},
	// The tokens are lost with the answer; asking again is a replay.
	{"token code", faulty.After, faulty.Create, "grant", http.StatusBadRequest},
	{"token refresh", faulty.Before, faulty.Get, "client", http.StatusOK},
	{"token refresh", faulty.Before, faulty.Get, "grant", http.StatusOK},
	{"token refresh", faulty.Before, faulty.Update, "grant", http.StatusOK},
	// The predecessor gets the pair that replaced it.
	{"token refresh", faulty.After, faulty.Update, "grant", http.StatusOK},
	{"token refresh", faulty.Before, faulty.Get, "epoch", http.StatusOK},
	{"revoke", faulty.Before, faulty.Get, "client", http.StatusOK},
	{"revoke", faulty.Before, faulty.Get, "grant", http.StatusOK},
	{"revoke", faulty.Before, faulty.Update, "grant", http.StatusOK},
	{"revoke", faulty.After, faulty.Update, "grant", http.StatusOK},
	{"register", faulty.Before, faulty.Get, "client", http.StatusCreated},
	{"register", faulty.Before, faulty.Create, "client", http.StatusCreated},
	{"register", faulty.After, faulty.Create, "client", http.StatusCreated},
}

func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		mode := map[faulty.Fault]string{faulty.Before: "before", faulty.After: "after"}[f.mode]
		t.Run(f.surface+" "+string(f.op)+" "+string(f.kind)+" "+mode, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			step, b := surfaces[f.surface](t, w)
			w.store.Only(f.op, f.kind)
			w.store.Set(f.mode)
			wantUnknown(t, step(), b != nil)
			w.store.Set(faulty.None)
			if rec := step(); rec.Code != f.then {
				t.Errorf("afterwards: %d %s, want %d", rec.Code, heading(rec), f.then)
			}
		})
	}
}

// wantUnknown checks what everybody is told while nobody knows.
func wantUnknown(t *testing.T, rec *httptest.ResponseRecorder, page bool) {
	t.Helper()
	if rec.Header().Get("Retry-After") != "5" || strings.Contains(rec.Body.String(), "10.1.2.3") || rec.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("%v %s", rec.Header(), rec.Body)
	}
	if page {
		wantPage(t, rec, http.StatusServiceUnavailable, "Temporarily unavailable")
		return
	}
	wantError(t, rec, http.StatusServiceUnavailable, "temporarily_unavailable")
}

// The way on from a page that could not answer leads through to the end.
func TestWayOnAfterAFault(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		if f.surface == "register" || f.surface == "revoke" || strings.HasPrefix(f.surface, "token") {
			continue
		}
		w := newWorld(t)
		step, b := surfaces[f.surface](t, w)
		w.store.Only(f.op, f.kind)
		w.store.Set(f.mode)
		next := wayOn(t, step())
		w.store.Set(faulty.None)
		if end := b.follow(t, next); !strings.HasPrefix(end, claude+"?code=") {
			t.Errorf("%s, %s %s: ended at %s", f.surface, f.op, f.kind, end)
		}
	}
}

// follow goes on from a page as a person would, and returns where that ends.
func (b *browser) follow(t *testing.T, next string) string {
	t.Helper()
	for range 8 {
		rec := b.get(next)
		switch target := rec.Header().Get("Location"); {
		case target != "" && !strings.HasPrefix(target, issuer):
			return target
		case target != "":
			next = target
		case rec.Code == http.StatusOK:
			next = b.leave(t, formOf(t, rec))
		default:
			next = wayOn(t, rec)
		}
	}
	return "nowhere"
}

// The extension of a client's life is worth no failed request.
func TestTokensSurviveAnUnextendedClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id, code := w.fresh(t)
	w.store.Only(faulty.Update, "client")
	w.store.Set(faulty.Before)
	wantTokens(t, w.tokenCall(exchange(id, code)))
}

func TestWithoutState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	b := w.browser()
	page, form := b.open(t, ask(id, claude))
	callback := b.leave(t, form)
	w.down = errDown
	for _, endpoint := range []string{"token", "register"} {
		wantUnknown(t, w.call(request("POST", issuer+"/"+endpoint, "x", "Content-Type", formType)), false)
	}
	wantUnknown(t, w.call(request("GET", issuer+"/jwks", "")), false)
	authorize := w.authorizeURL(ask(id, claude))
	for want, rec := range map[string]*httptest.ResponseRecorder{
		authorize: b.get(authorize), page: b.get(page), page + "&": b.submit(form), sorted(t, callback): b.get(callback),
		authorize + "&": w.call(request("POST", issuer+"/authorize", ask(id, claude).Encode(), "Content-Type", formType)),
	} {
		wantUnknown(t, rec, true)
		if wayOn(t, rec) != strings.TrimSuffix(want, "&") {
			t.Errorf("way on %q, want %q", wayOn(t, rec), want)
		}
	}
	wantError(t, w.call(request("GET", page, "", "Accept", "application/json")), 503, "temporarily_unavailable")
	for _, q := range []string{"token=%zz", "token=" + strings.Repeat("A", maxAgain)} {
		rec := b.get(issuer + "/login?" + q)
		wantUnknown(t, rec, true)
		if wayOn(t, rec) != "" {
			t.Errorf("way on %q", wayOn(t, rec))
		}
	}
	rec := w.call(request("POST", issuer+"/login/continue", "x", "Content-Type", "text/plain"))
	wantUnknown(t, rec, true)
	// Discovery needs no state.
	if rec := w.document("as", request("GET", issuer, "")); rec.Code != http.StatusOK {
		t.Errorf("metadata: %d", rec.Code)
	}
	if !strings.Contains(w.logs.String(), `"WARN"`) {
		t.Error("nobody is told that the store is down")
	}
}

func sorted(t *testing.T, target string) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = u.Query().Encode()
	return u.String()
}

// A damaged record is unknown, never a no.
func TestDamagedRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	step, _ := surfaces["token refresh"](t, w)
	all, err := w.store.List(t.Context(), store.Query{Site: w.site.String(), Kind: "grant"})
	if err != nil || len(all.Records) != 1 {
		t.Fatal(err, len(all.Records))
	}
	rec, good := all.Records[0], all.Records[0].Version
	rec.Value = append([]byte(nil), rec.Value...)
	rec.Value[len(rec.Value)-1] ^= 1
	rec.Version[0] ^= 1
	if err := w.store.Update(t.Context(), rec, good); err != nil {
		t.Fatal(err)
	}
	wantUnknown(t, step(), false)
}

// Each stage has its own time: at the provider the page may expire.
func TestExpiryAtEachStage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	b := w.browser()
	page, form := b.open(t, ask(id, claude))
	w.clock.Advance(loginTokenLife - time.Second)
	callback := b.leave(t, form)
	w.clock.Advance(2 * time.Second)
	wantPage(t, b.get(page), 400, "This sign-in has expired")
	w.clock.Advance(grants.LoginLife - 3*time.Second)
	wantRedirect(t, b.get(callback), 303, claude+"?code=")
}
