// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
)

// outspoken is a backend that answers with the status that the query asks for, and says
// what only the authorization server may say.
func outspoken(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("WWW-Authenticate", `Bearer resource_metadata="https://evil.example/"`)
	h.Add("WWW-Authenticate", "Basic realm=backend")
	h.Set("Proxy-Authenticate", "Basic realm=backend")
	h.Set("X-Backend", "yes")
	h.Set("Service-Worker-Allowed", "/")
	if cache := r.URL.Query().Get("cache"); cache != "" {
		h.Set("Cache-Control", cache)
	}
	if r.URL.Query().Get("early") != "" {
		h.Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		h.Del("Link")
	}
	status, _ := strconv.Atoi(r.URL.Query().Get("status"))
	w.WriteHeader(status)
	if status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified {
		fmt.Fprint(w, "the backend says ", status)
	}
}

// startOutspoken returns a world with that backend, and a token for it.
func startOutspoken(t *testing.T) (*world, string) {
	t.Helper()
	w := newWorld(t)
	w.backend = record(t, http.HandlerFunc(outspoken))
	w.start(globals(bothVersions) + w.site(""))
	return w, w.raw(w.issuer).signIn(w.resource).access
}

// ask has the backend answer.
func (w *world) ask(token, query string) *answer {
	w.t.Helper()
	return w.send(http.MethodPost, w.resource+"?"+query, http.Header{"Authorization": {"Bearer " + token}}, "{}")
}

// Whatever the backend answers reaches the client as it is, but for its challenge, which
// would send the client to somebody else to sign in.
func TestSec_J08_OnlyTheChallengeIsTakenAway(t *testing.T) {
	t.Parallel()
	w, token := startOutspoken(t)
	for _, v := range []*world{w, w.h2()} {
		for _, status := range []int{200, 201, 202, 204, 400, 402, 403, 404, 405, 407, 409, 421, 425, 429, 500, 502, 503} {
			a := v.ask(token, fmt.Sprint("status=", status))
			body := fmt.Sprint("the backend says ", status)
			if status == http.StatusNoContent {
				body = ""
			}
			if a.status != status || a.body != body || a.header.Get("X-Backend") != "yes" {
				t.Errorf("%d became %d %q %v", status, a.status, a.body, a.header)
			}
			for _, name := range []string{"WWW-Authenticate", "Proxy-Authenticate"} {
				if a.header.Get(name) != "" {
					t.Errorf("%d: %s is %q", status, name, a.header.Values(name))
				}
			}
		}
	}
}

// A backend that refuses our JWT is misconfigured. A 401 would have the client sign in
// again and again, so it hears of a fault of the server, and the log says which.
func TestSec_J08_BackendsRefusalIsNotOurs(t *testing.T) {
	t.Parallel()
	w, token := startOutspoken(t)
	for _, v := range []*world{w, w.h2()} {
		a := v.ask(token, "status=401")
		if a.status != http.StatusBadGateway || a.header.Get("Content-Type") != "application/json" || a.header.Get("WWW-Authenticate") != "" ||
			a.header.Get("X-Backend") != "" || a.member(t, "error") != "server_error" || strings.Contains(a.body, "the backend says") {
			t.Errorf("%d %v %s", a.status, a.header, a.body)
		}
		ref := a.member(t, "ref")
		if ref == "" {
			t.Fatal("no reference")
		}
		w.caddy.AwaitOutput(t, ref)
	}
	w.works(w.resource+"?status=200", token)
}

// An answer to somebody who is signed in is nobody else's, unless the backend says so.
func TestSec_J19_PrivateUnlessTheBackendKnowsBetter(t *testing.T) {
	t.Parallel()
	w, token := startOutspoken(t)
	for said, want := range map[string]string{
		"": "private", "no-store": "no-store", "public, max-age=60": "public, max-age=60", "no-cache, private": "no-cache, private",
	} {
		for _, status := range []int{200, 403, 404, 500} {
			a := w.ask(token, fmt.Sprintf("status=%d&cache=%s", status, strings.ReplaceAll(said, " ", "+")))
			if got := a.header.Values("Cache-Control"); len(got) != 1 || got[0] != want {
				t.Errorf("%d with %q: Cache-Control %q", status, said, got)
			}
			if !contains(strings.Join(a.header.Values("Vary"), ","), "Authorization", "Origin") {
				t.Errorf("%d: Vary %q", status, a.header.Values("Vary"))
			}
		}
	}
}

// On a host that the backend shares with the consent page, it may neither take over other
// paths nor have data run as a page.
func TestSec_J17_BackendsPagesStayInTheirPlace(t *testing.T) {
	t.Parallel()
	w, token := startOutspoken(t)
	for _, status := range []int{200, 403, 404, 500} {
		a := w.ask(token, fmt.Sprint("status=", status))
		if a.header.Get("Service-Worker-Allowed") != "" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%d: %v", status, a.header)
		}
	}
}

// Informational answers come before the final one, and do not end it.
func TestEarlyHintsPass(t *testing.T) {
	t.Parallel()
	w, token := startOutspoken(t)
	for _, v := range []*world{w, w.h2()} {
		var early []http.Header
		ctx := httptrace.WithClientTrace(w.ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if code == http.StatusEarlyHints {
				early = append(early, http.Header(h))
			}
			return nil
		}})
		u := *v
		u.ctx = ctx
		if a := u.ask(token, "status=200&early=yes"); a.status != http.StatusOK || a.body != "the backend says 200" || a.header.Get("Link") != "" {
			t.Errorf("%d %q %v", a.status, a.body, a.header)
		}
		if len(early) != 1 || early[0].Get("Link") == "" || early[0].Get("WWW-Authenticate") != "" {
			t.Errorf("early hints %v", early)
		}
	}
}
