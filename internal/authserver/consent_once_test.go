// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

func TestSec_K09_DoubleClick(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	b := w.browser()
	page, form := b.open(t, ask(id, claude))
	if again := b.show(t, page); again.Get("key") != form.Get("key") {
		t.Error("a reload or a second tab gets another form key")
	}
	w.store.Set(faulty.None)
	first, second := b.submit(form), b.submit(form)
	if first.Code != http.StatusSeeOther || first.Header().Get("Location") != second.Header().Get("Location") || second.Code != first.Code {
		t.Errorf("%q, then %q", first.Header().Get("Location"), second.Header().Get("Location"))
	}
	callback := b.leave(t, form)
	wantRedirect(t, b.get(callback), http.StatusSeeOther, claude+"?code=")

	// The back button after everything is done.
	form = b.show(t, page)
	rec := b.submit(form)
	wantPage(t, rec, http.StatusBadRequest, "This sign-in was already used")
	if len(b.cookies) != 0 {
		t.Errorf("cookies left: %v", b.names())
	}
	fresh := wayOn(t, rec)
	if fresh == page {
		t.Fatal("start again leads to the used page")
	}
	wantRedirect(t, b.get(b.leave(t, b.show(t, fresh))), http.StatusSeeOther, claude+"?code=")
}

// A form that another browser sent first cannot be sent again from here.
func TestSec_K09_OtherBrowserWasFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.browser(), w.browser()
	page, form := a.open(t, ask(w.register(t, claude), claude))
	mine := b.show(t, page)
	a.leave(t, form)
	wantPage(t, b.submit(mine), http.StatusBadRequest, "This sign-in was already used")
}

func TestSec_M02_PendingLogins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	for range loginsPerMinute {
		if _, ok := w.state.Limits.Login(home); !ok {
			t.Fatal("refused early")
		}
	}
	b := w.browser()
	page, form := b.open(t, ask(id, claude))
	rec := b.submit(form)
	wantPage(t, rec, http.StatusTooManyRequests, "Too many sign-ins")
	if rec.Header().Get("Retry-After") != "1" || w.events.count(event.LimitHit) != 1 || w.provider.asked() != 0 {
		t.Errorf("Retry-After %q", rec.Header().Get("Retry-After"))
	}
	w.clock.Advance(time.Minute)
	b.leave(t, b.show(t, page))
}

func TestSec_A07_ElevenPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.register(t, claude)
	b := w.browser()
	var pages []string
	var forms []url.Values
	for range 11 {
		page, form := b.open(t, ask(id, claude))
		pages, forms = append(pages, page), append(forms, form)
		w.clock.Advance(time.Second)
	}
	if len(b.cookies) != maxOpen {
		t.Errorf("%d cookies", len(b.cookies))
	}
	rec := b.submit(forms[0])
	wantPage(t, rec, http.StatusForbidden, "This form cannot be accepted")
	if wayOn(t, rec) != pages[0] {
		t.Errorf("way on %q", wayOn(t, rec))
	}
	for i := 1; i < 11; i++ {
		b.leave(t, forms[i])
	}
	for range 50 {
		_, form := b.open(t, ask(id, claude))
		b.leave(t, form)
		w.clock.Advance(time.Second)
	}
	size := 0
	for name, c := range b.cookies {
		size += len(fmt.Sprintf("%s=%s; ", name, c.Value))
	}
	if len(b.cookies) > 2*maxOpen || size > 4096 {
		t.Errorf("%d cookies, %d bytes", len(b.cookies), size)
	}
	_, form := b.open(t, ask(id, claude))
	wantRedirect(t, b.get(b.leave(t, form)), http.StatusSeeOther, claude+"?code=")
}

// One address cannot take what all of them together may have pending.
func TestSec_M02_PendingLoginsInAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.state.Limits
	for i := range maxPending {
		n := i / loginsPerMinute
		if _, ok := l.Login(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})); !ok {
			t.Fatalf("login %d refused", i)
		}
	}
	wait, ok := l.Login(home)
	if ok || wait != time.Second {
		t.Errorf("%v, %s", ok, wait)
	}
	w.clock.Advance(time.Second)
	if _, ok := l.Login(home); !ok {
		t.Error("no room again")
	}
	if loginsPerMinute*(int(cookieLife/time.Minute)+1) > maxPending/4 {
		t.Error("one address may hold more than a quarter")
	}
}
