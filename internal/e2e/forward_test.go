// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
)

// forwarding is a site that tells the backend in headers who a person is, as do sites for
// servers that read no JWT. Caddy is told to keep spellings that it drops by itself, so
// that nobody but the guard removes them. What is not under the resource is proxied, too.
func (w *world) forwarding() string {
	const options = "servers {\nprotocols h1 h2c\nexpected_underscore_headers X_User_Id _x_user_id Authorization_ X_User_Email\nexpected_dot_headers X.User.Id x.user.email\n}\n"
	return globals(options) + w.origin + " {\n" + block("resource "+w.resource+" {\nforward {\nheader X-User-Id sub\nheader X-User-Name name\nheader X-User-Email email\nheader X-Client client_id\nheader X-Roles roles\n}\n}\n"+w.entra()) +
		"reverse_proxy " + w.backend.addr() + "\n}\n"
}

// pretended are headers by which a client claims to be somebody, in all spellings.
const pretended = "X-User-Id: pretender\r\nx-user-id: pretender\r\nX_User_Id: pretender\r\n_x_user_id: pretender\r\nX.User.Id: pretender\r\n" +
	"X-User-Email: pretender\r\nX_User_Email: pretender\r\nx.user.email: pretender\r\nX-User-Name: pretender\r\nX-Roles: pretender\r\nX-CLIENT: pretender\r\n" +
	"Authorization_: Bearer pretender\r\n"

// checkNoPretender makes sure that nothing which arrived has what a client pretended.
func checkNoPretender(t *testing.T, what string, seen []arrival) {
	t.Helper()
	for _, a := range seen {
		for name, values := range a.header {
			if strings.Contains(strings.Join(values, " "), "pretender") {
				t.Errorf("%s: %s arrived as %q", what, name, values)
			}
		}
	}
}

// Headers about the person come from the guard alone: in every spelling that a client
// sends they are removed, also where the person has no such claim, on paths that nobody
// guards, and when Connection names them.
func TestSec_J02_IdentityHeadersInEverySpelling(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.emulator.SignInAs("ben@contoso.example") // whose address nobody has verified
	w.start(w.forwarding())
	token := w.raw(w.issuer).signIn(w.resource).access
	for _, connection := range []string{"", "X-User-Id, X-User-Name, Authorization", "keep-alive, x-client, X-ROLES"} {
		lines := "Authorization: Bearer " + token + "\r\n" + pretended
		if connection != "" {
			lines += "Connection: " + connection + "\r\n"
		}
		if status, body := w.wire("GET", "/mcp", w.addr, lines); status != http.StatusUnauthorized && status != http.StatusOK && status != http.StatusBadRequest {
			t.Fatalf("%d %s", status, body)
		}
		seen := w.backend.arrivals()
		if len(seen) != 1 {
			t.Fatalf("%q: %d requests arrived", connection, len(seen))
		}
		checkNoPretender(t, "guarded, Connection: "+connection, seen)
		h := seen[0].header
		if h.Get("X-User-Id") != claimsOf(t, seen[0].jwt())["sub"] || h.Get("X-User-Name") != "Ben Builder" || h.Get("X-Roles") != "MCP.User" ||
			!strings.HasPrefix(h.Get("X-Client"), "dcr_") || len(h.Values("X-User-Email")) != 0 {
			t.Errorf("%q: arrived as %v", connection, h)
		}
	}
	for _, path := range []string{"/elsewhere", "/"} {
		w.wire("GET", path, w.addr, pretended)
		seen := w.backend.arrivals()
		if len(seen) != 1 {
			t.Fatalf("%s: %d requests arrived", path, len(seen))
		}
		for _, a := range seen {
			a.header.Del("Authorization_") // means nothing where nobody has a token
		}
		checkNoPretender(t, path, seen)
	}
}

// A name in a header is one line of ASCII, whatever it is made of.
func TestSec_J23_NamesInHeaders(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Zoë\r\nX-Role: admin":  "Zo%C3%ABX-Role: admin",
		"100% {env.PLANTED}":    "100%25 {env.PLANTED}",
		"\u4e16\u754c":          "%E4%B8%96%E7%95%8C",
		"Tab\tand\x00nul\u0085": "Tabandnul",
		" spaces ":              "spaces",
		"\u202eevil":            "%E2%80%AEevil",
	} {
		w := newWorld(t)
		w.home.Env = []string{"PLANTED=" + planted}
		w.emulator.Change("anna@contoso.example", func(u *entratest.User) { u.Name = name })
		w.start(w.forwarding())
		w.works(w.resource, w.raw(w.issuer).signIn(w.resource).access)
		seen := w.backend.arrivals()
		if len(seen) != 1 || len(seen[0].header.Values("X-User-Name")) != 1 || seen[0].header.Get("X-User-Name") != want || seen[0].header.Get("X-Role") != "" {
			t.Errorf("%q arrived as %v", name, seen)
		}
	}
}

// What follows a body is no header, but some servers take it for one. No client gets
// anything past the guard that way, and no backend a challenge or a cookie back.
func TestSec_J03_Trailers(t *testing.T) {
	t.Parallel()
	w, trailers := newWorld(t), make(chan http.Header, 1)
	w.backend = record(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "WWW-Authenticate, X-Checksum")
		_, _ = io.Copy(io.Discard, r.Body)
		trailers <- r.Trailer.Clone()
		fmt.Fprint(w, "done")
		w.Header().Set("WWW-Authenticate", "Basic realm=evil")
		w.Header().Set("X-Checksum", "1")
		w.Header().Set(http.TrailerPrefix+"Set-Cookie", "__Host-mcpo_b_1=planted")
	}))
	w.start(w.forwarding())
	token := w.raw(w.issuer).signIn(w.resource).access
	for _, declared := range []string{"", "Trailer: X-User-Id\r\n", "Trailer: X-Checksum\r\nTE: trailers\r\n", "Trailer: Authorization, X-User-Id, X-User-Email\r\n"} {
		conn, err := net.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "POST /mcp HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n%s\r\n2\r\n{}\r\n0\r\n%sAuthorization: Bearer %s\r\n\r\n",
			w.addr, token, declared, pretended, token)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		conn.Close()
		if resp.StatusCode != http.StatusOK || string(body) != "done" || err != nil {
			t.Errorf("%q: %d %s, %v", declared, resp.StatusCode, body, err)
		}
		if got := receive(t, trailers, "the request arrives"); len(got) > 0 {
			t.Errorf("%q: the trailers %v arrived", declared, got)
		}
		checkTrailers(t, declared, resp)
	}
	req, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.resource, io.MultiReader(strings.NewReader("{}")))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = withToken(token)
	req.Trailer = http.Header{"X-User-Id": {"pretender"}, "X-Checksum": {"1"}}
	resp, err := w.h2().transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = readAnswer(t, resp)
	if got := receive(t, trailers, "the request arrives"); len(got) > 0 {
		t.Errorf("HTTP/2: the trailers %v arrived", got)
	}
	checkTrailers(t, "HTTP/2", resp)
}

// checkTrailers looks at what came after the body of an answer: the backend's, but for
// what it must not say.
func checkTrailers(t *testing.T, what string, resp *http.Response) {
	t.Helper()
	if resp.Trailer.Get("X-Checksum") != "1" || resp.Trailer.Get("WWW-Authenticate") != "" || resp.Trailer.Get("Set-Cookie") != "" {
		t.Errorf("%s: the trailers %v came back", what, resp.Trailer)
	}
}
