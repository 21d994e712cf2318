// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"crypto/tls"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestSec_H15_AuthorizationSyntax(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		headers []string
		status  int
	}{
		{[]string{"Bearer " + good}, 200},
		{[]string{"bearer " + good}, 200},
		{[]string{"BEARER " + good}, 200},
		{[]string{"Bearer " + good, "Bearer " + good}, 400},
		{[]string{"Basic eDp5", "Bearer " + good}, 400},
		{[]string{"Bearer " + good, "Basic eDp5"}, 400},
		{[]string{"Bearer " + good, ""}, 400},
		{[]string{""}, 401},
		{[]string{"Bearer"}, 401},
		{[]string{"Bearer "}, 401},
		{[]string{good}, 401},
		{[]string{"Basic eDp5"}, 401},
		{[]string{"Token " + good}, 401},
		{[]string{"Bearerx " + good}, 401},
		{[]string{" Bearer " + good}, 401},
		{[]string{"Bearer  " + good}, 401},
		{[]string{"Bearer\t" + good}, 401},
		{[]string{"Bearer \t" + good}, 401},
		{[]string{"Bearer " + good + " "}, 401},
		{[]string{"Bearer " + good + ", Bearer " + good}, 401},
		{[]string{"Bearer " + good + ",Basic eDp5"}, 401},
		{[]string{`Bearer "` + good + `"`}, 401},
		{[]string{"Bearer token=" + good}, 401},
		{[]string{"Bearer =" + good}, 401},
		{[]string{"Bearer " + good + "="}, 401},
		{[]string{"Bearer " + good + "\x00"}, 401},
		{[]string{"Bearer " + good + "é"}, 401},
	} {
		b := setup()
		req := b.request("")
		req.HTTP.Header["Authorization"] = c.headers
		if w, _ := b.answer(req); w.Code != c.status {
			t.Errorf("%q: %d, want %d", c.headers, w.Code, c.status)
		}
	}
}

func TestSec_J12_TokenInTheQuery(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"access_token=" + good, "a=b&access_token=x", "access_token", "access%5ftoken=" + good, "%61ccess_token=x", "Access_Token=" + good, "ACCESS_TOKEN=x"} {
		for _, token := range []string{"", good} {
			b := setup()
			req := b.request(token)
			req.HTTP.URL.RawQuery = query
			w, _ := b.answer(req)
			if w.Code != 400 || code(t, w) != "invalid_request" || b.lookups.Load() != 0 {
				t.Errorf("%s: %d %s after %d look-ups", query, w.Code, w.Body, b.lookups.Load())
			}
			if strings.Contains(w.Header().Get("WWW-Authenticate"), good) || strings.Contains(w.Body.String(), good) {
				t.Errorf("%s: the token is in the answer", query)
			}
		}
	}
}

func TestSec_J14_MalformedQuery(t *testing.T) {
	t.Parallel()
	for query, status := range map[string]int{
		"a=1;access_token=x": 400, "a=%zz": 400, "a=%": 400, ";": 400,
		"a=1&b=2": 200, "sessionId=x%20y": 200, "access_tokens=1": 200,
	} {
		b := setup()
		req := b.request(good)
		req.HTTP.URL.RawQuery = query
		w, pass := b.answer(req)
		if w.Code != status {
			t.Errorf("%s: %d", query, w.Code)
		}
		if pass != nil {
			if pass.Apply(req.HTTP); req.HTTP.URL.RawQuery != query {
				t.Errorf("%s became %s", query, req.HTTP.URL.RawQuery)
			}
		}
	}
}

// RFC 6750 §2.2 allows the token in a form body; this guard does not read bodies.
func TestSec_H15_TokenInTheBody(t *testing.T) {
	t.Parallel()
	b := setup()
	req := b.request("", "Content-Type", "application/x-www-form-urlencoded")
	req.HTTP.Body = http.NoBody
	if w, _ := b.answer(req); w.Code != 401 {
		t.Errorf("status %d", w.Code)
	}
}

func TestSec_J05_NothingIsSkipped(t *testing.T) {
	t.Parallel()
	for _, headers := range [][]string{
		{"User-Agent", "kube-probe/1.30"},
		{"X-Forwarded-Uri", "/public"},
		{"X-Original-Url", "/public"},
		{"X-Auth-Request-Redirect", "/public"},
		{"Upgrade", "h2c"},
	} {
		b := setup()
		req := b.request("", headers...)
		req.HTTP.URL.RawQuery = "/public"
		if w, _ := b.answer(req); w.Code != 401 {
			t.Errorf("%q: %d", headers, w.Code)
		}
	}
	for _, method := range []string{"GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "PROPFIND", ""} {
		b := setup()
		req := b.request("")
		req.HTTP.Method = method
		if w, _ := b.answer(req); w.Code != 401 {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

func TestSec_J10_EarlyData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*Request)
	}{
		{"header", func(r *Request) { r.HTTP.Header.Set("Early-Data", "1") }},
		{"header twice", func(r *Request) { r.HTTP.Header["Early-Data"] = []string{"0", "1"} }},
		{"invalid header", func(r *Request) { r.HTTP.Header.Set("Early-Data", "true") }},
		{"empty header", func(r *Request) { r.HTTP.Header.Set("Early-Data", "") }},
		{"handshake", func(r *Request) { r.HTTP.TLS = &tls.ConnectionState{} }},
	} {
		for method, status := range map[string]int{"POST": 425, "DELETE": 425, "PUT": 425, "GET": 200, "HEAD": 200} {
			b := setup()
			req := b.request(good)
			req.HTTP.Method = method
			c.change(&req)
			w, _ := b.answer(req)
			if w.Code != status || w.Header().Get("WWW-Authenticate") != "" {
				t.Errorf("%s %s: %d", c.name, method, w.Code)
			}
		}
	}
	b := setup()
	req := b.request(good)
	req.HTTP.TLS = &tls.ConnectionState{HandshakeComplete: true}
	if w, _ := b.answer(req); w.Code != 200 {
		t.Errorf("after the handshake: %d", w.Code)
	}
}

func FuzzAuthorization(f *testing.F) {
	for _, v := range []string{"", "Bearer", "Bearer x", "bearer a=", "Bearer  x", "Basic x", "Bearer a,b", "Bearer\tx", "Bearer ="} {
		f.Add(v)
	}
	valid := regexp.MustCompile(`^(?i:bearer) [A-Za-z0-9._~+/-]+=*$`)
	f.Fuzz(func(t *testing.T, value string) {
		token, err := bearer(http.Header{"Authorization": {value}})
		want := valid.MatchString(value) && !strings.HasSuffix(value, "\n") && len(value) <= len("Bearer ")+maxToken
		if (err == nil) != want {
			t.Fatalf("%q: %q, %v", value, token, err)
		}
		if err == nil && value[len("Bearer "):] != token {
			t.Fatalf("%q gave %q", value, token)
		}
	})
}
