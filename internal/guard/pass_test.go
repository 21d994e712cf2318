// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// front is a real server that guards a reverse proxy, as the web server does. backend
// answers; what it was sent arrives in the channel.
func front(t *testing.T, b *bench, backend http.HandlerFunc) (address string, seen <-chan *http.Request) {
	t.Helper()
	requests := make(chan *http.Request, 100)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r
		backend(w, r)
	}))
	t.Cleanup(origin.Close)
	target, err := url.Parse(origin.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = new(http.Transport) // servers of other tests close connections of the default one
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := Request{HTTP: r, Target: b.target, Began: b.clock.Now()}
		if Preflight(w, r, b.res) {
			return
		}
		pass, err := b.Admit(r.Context(), req)
		if err != nil {
			b.Refuse(w, req, err, "ref1")
			return
		}
		defer pass.Close()
		pass.Apply(r)
		back, r := pass.Wrap(w, r, func() string { return "ref1" })
		proxy.ServeHTTP(back, r)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), requests
}

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// raw sends lines as they are and returns the answer.
func raw(t *testing.T, address string, lines ...string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\nHost: h.example\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestSec_J02_AliasesOfAuthorization(t *testing.T) {
	t.Parallel()
	h := http.Header{
		"Authorization": {"Bearer x"}, "authorization": {"1"}, "AUTHORIZATION": {"2"}, "Authorization_": {"3"},
		"_authorization": {"4"}, ".Authorization.": {"5"}, "X-Authorization": {"stays"}, "Authorization-Info": {"stays"}, "Mcp-Method": {"stays"},
	}
	b := setup()
	b.admit(t, good).Apply(&http.Request{Header: h})
	names := slices.Sorted(maps.Keys(h))
	if want := []string{"Authorization", "Authorization-Info", "Mcp-Method", "X-Authorization"}; !slices.Equal(names, want) {
		t.Errorf("left %q, want %q", names, want)
	}
	if h.Get("Authorization") != "Bearer jwt.1" {
		t.Error(h)
	}
	for name, alias := range map[string]bool{
		"X_User_Id": true, "X.User.Id": true, "x-user_id": true, "X-USER-ID": true, "X_User.Id_": true, "X-User-Id": true, "Xuserid": false, "X-User-Ids": false, "X-Usér-Id": false,
	} {
		if isAlias(name, "X-User-Id") != alias {
			t.Errorf("isAlias(%s) = %t", name, !alias)
		}
	}
}

func TestSec_J03_ConnectionCannotRemoveTheJWT(t *testing.T) {
	t.Parallel()
	b := setup()
	address, seen := front(t, b, ok)
	for _, lines := range [][]string{
		{"Connection: Authorization"},
		{"Connection: close, authorization"},
		{"Connection: keep-alive", "Connection: AUTHORIZATION, X-User"},
		{"Keep-Alive: Authorization"},
		{"Proxy-Connection: Authorization"},
		{"TE: Authorization"},
		{"Connection: TE, Authorization", "TE: trailers"},
	} {
		raw(t, address, append([]string{"GET /mcp HTTP/1.1", "Authorization: Bearer " + good, "X-User: u"}, lines...)...)
		r := <-seen
		if r.Header.Get("Authorization") != "Bearer jwt.1" || r.Header.Get("X-User") != "u" {
			t.Errorf("%q: backend got %v", lines, r.Header)
		}
	}
	for in, want := range map[string]string{
		"close": "close", "Keep-Alive": "Keep-Alive", "Upgrade, Authorization": "Upgrade", "x,, close ,y": "close", "x": "",
	} {
		h := http.Header{"Connection": {in}}
		if keep(h, "Connection", isConnectionOption); h.Get("Connection") != want {
			t.Errorf("%q became %q, want %q", in, h.Get("Connection"), want)
		}
	}
}

func TestSec_J06_TheTokenStaysHere(t *testing.T) {
	t.Parallel()
	b := setup()
	address, seen := front(t, b, ok)
	raw(t, address, "GET /mcp?a=1 HTTP/1.1", "authorization: bearer "+good, "Proxy-Authorization: Bearer "+good, "Authorization_: Bearer "+good, "Mcp-Param-X: =?base64?eA==?=")
	r := <-seen
	var all strings.Builder
	fmt.Fprint(&all, r.URL, r.Header, r.Trailer)
	if strings.Contains(all.String(), good) {
		t.Errorf("backend got %s", all.String())
	}
	if have := r.Header["Authorization"]; len(have) != 1 || have[0] != "Bearer jwt.1" {
		t.Errorf("Authorization %q", have)
	}
	h := http.Header{"Proxy-Authorization": {"Bearer " + good}, "Proxy-Connection": {"x"}, "Proxy": {"x"}, "Keep-Alive": {"x"}}
	if b.admit(t, good).Apply(&http.Request{Header: h}); len(h) != 1 {
		t.Errorf("left %v", h)
	}
	if r.URL.RawQuery != "a=1" || r.Header.Get("Mcp-Param-X") != "=?base64?eA==?=" {
		t.Errorf("changed: %s", all.String())
	}
}

func TestSec_J07_OurCookiesDoNotPass(t *testing.T) {
	t.Parallel()
	b := setup()
	address, seen := front(t, b, func(w http.ResponseWriter, _ *http.Request) {
		for _, c := range []string{"__Host-mcpo_b_1=x; Path=/; Secure", "mcpo_dev_f_1=x", "__host-MCPO_f_2=x", " =__Host-mcpo_b_1=x", "sid=2; HttpOnly"} {
			w.Header().Add("Set-Cookie", c)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	res := raw(t, address, "GET /mcp HTTP/1.1", "Authorization: Bearer "+good,
		`Cookie: a="1; 2"; __Host-mcpo_b_1=secret;b=2; MCPO_DEV_f_1=secret; c`, "Cookie: __Host-mcpo_f_1=secret", "Cookie: =__Host-mcpo_f_1=secret; d=4")
	r := <-seen
	if have, want := strings.Join(r.Header["Cookie"], "|"), `a="1; 2";b=2; c|d=4`; have != want {
		t.Errorf("backend got %s, want %s", have, want)
	}
	if have := res.Header["Set-Cookie"]; len(have) != 1 || have[0] != "sid=2; HttpOnly" {
		t.Errorf("client got %q", have)
	}
	h := http.Header{"Cookie": {"__Host-mcpo_b_1=x"}}
	if stripCookies(h); len(h) != 0 {
		t.Errorf("left %v", h)
	}
}
