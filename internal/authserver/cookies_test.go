// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

func TestSec_K02_EveryCookie(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	var all []*http.Cookie
	id := w.register(t, claude)
	page, _ := b.open(t, ask(id, claude))
	all = append(all, w.browser().get(page).Result().Cookies()...)
	form := b.show(t, page)
	rec := b.submit(form)
	all = append(all, rec.Result().Cookies()...)
	all = append(all, b.get(issuer+"/callback?code=c&state="+param(t, rec.Header().Get("Location"), "state")).Result().Cookies()...)
	for range 12 {
		b.open(t, ask(id, claude))
	}
	if len(all) != 4 {
		t.Fatalf("%d cookies: %v", len(all), all)
	}
	for _, c := range all {
		if !strings.HasPrefix(c.Name, "__Host-mcpo_") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge > 600 || c.MaxAge == 0 {
			t.Errorf("%s", c.Raw)
		}
	}
}

func TestCookiesOnLoopback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, places["_local"])
	b := w.browser()
	id := w.register(t, claude)
	_, form := b.open(t, ask(id, claude, "resource", "-"))
	callback := b.leave(t, form)
	for _, name := range b.names() {
		if c := b.cookies[name]; !strings.HasPrefix(name, "mcpo_dev_") || c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("%s", c.Raw)
		}
	}
	wantRedirect(t, b.get(callback), 303, claude+"?code=")
	if len(b.cookies) != 0 {
		t.Errorf("cookies left: %v", b.names())
	}
}

// The oldest go first, and a binding is as old as the page that it belongs to.
func TestMakeRoomDropsTheOldest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	b := w.browser()
	var callbacks []string
	for range maxOpen + 2 {
		_, form := b.open(t, ask(id, claude))
		callbacks = append(callbacks, b.leave(t, form))
		w.clock.Advance(time.Second)
	}
	for i, c := range callbacks {
		rec := b.get(c)
		if want := map[bool]int{true: 400, false: 303}[i < 2]; rec.Code != want {
			t.Errorf("login %d: %d %s", i, rec.Code, heading(rec))
		}
	}
}

// A form key is the browser's word: one that is too old, or no form key, is replaced.
func TestFormKeyIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	page, form := b.open(t, ask(w.register(t, claude), claude))
	old, err := seal.NewFormKey(strings.NewReader(strings.Repeat("x", 64)), w.clock.Now().Add(-cookieLife))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{old, "", "x", form.Get("key") + "A"} {
		eachCookie(b, bad)
		if key := b.show(t, page).Get("key"); key == bad || !w.freshKey(key) {
			t.Errorf("%q stays", bad)
		}
	}
}
