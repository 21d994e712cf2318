// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// window is the length of the shortest part of a secret that must not be found.
const window = 16

// public are parameters that are no secrets, or are the same for everybody.
var public = []string{
	"client_id", "redirect_uri", "resource", "scope", "response_type", "code_challenge_method", "code_challenge", "grant_type", "iss",
	"prompt", "token_type", "client_name", "token_endpoint_auth_method", "error", "error_description", "decision", "user", "client_uri",
	"ref", "issuer", "error_uri", "trace_id", "correlation_id",
}

// secrets collects every value that is minted for one sign-in, wherever it is seen, with
// the name under which it was.
type secrets struct {
	mu    sync.Mutex
	found map[string]string
}

func (s *secrets) add(name, value string) {
	if len(value) < window || slices.Contains(public, name) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found == nil {
		s.found = map[string]string{}
	}
	if _, known := s.found[value]; !known {
		s.found[value] = name
	}
}

// names are the kinds of secrets that were seen.
func (s *secrets) names() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[string]int{}
	for _, name := range s.found {
		n[name]++
	}
	return n
}

func (s *secrets) values(v url.Values) {
	for name, all := range v {
		for _, value := range all {
			s.add(name, value)
		}
	}
}

// text takes the members of JSON, or the fields of a form.
func (s *secrets) text(body []byte) {
	var members map[string]any
	if json.Unmarshal(body, &members) != nil {
		if form, err := url.ParseQuery(string(body)); err == nil && !bytes.ContainsAny(body, "<{ ") {
			s.values(form)
		}
		return
	}
	for name, value := range members {
		if text, ok := value.(string); ok && !strings.HasPrefix(text, "http") {
			s.add(name, text)
		}
	}
}

// request takes what a request carries. Its body can be read again afterwards.
func (s *secrets) request(r *http.Request) {
	s.values(r.URL.Query())
	for _, c := range r.Cookies() {
		s.add("cookie", c.Value)
	}
	s.authorization(r.Header.Get("Authorization"))
	if r.Body == nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		s.text(body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
}

func (s *secrets) authorization(header string) {
	kind, value, _ := strings.Cut(header, " ")
	if strings.Count(value, ".") == 2 {
		kind = "JWT"
	} else {
		kind = "authorization " + strings.ToLower(kind)
	}
	s.add(kind, value)
	if raw, err := base64.StdEncoding.DecodeString(value); err == nil && kind == "authorization basic" {
		_, password, _ := strings.Cut(string(raw), ":")
		s.add("password", password)
	}
}

// response takes what an answer carries.
func (s *secrets) response(h http.Header, body []byte) {
	for _, c := range (&http.Response{Header: h}).Cookies() {
		s.add("cookie", c.Value)
	}
	if to, err := url.Parse(h.Get("Location")); err == nil {
		s.values(to.Query())
	}
	if strings.HasPrefix(h.Get("Content-Type"), "application/json") {
		s.text(body)
	}
}

// tap is a transport whose traffic is collected.
type tap struct {
	*secrets
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t tap) RoundTrip(r *http.Request) (*http.Response, error) {
	t.request(r)
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	var body []byte
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(body))
	}
	t.response(resp.Header, body)
	return resp, err
}

// serve is a server whose traffic is collected.
func (s *secrets) serve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.request(r)
		copied := &copier{ResponseWriter: w}
		next.ServeHTTP(copied, r)
		s.response(w.Header(), copied.body.Bytes())
	})
}

type copier struct {
	http.ResponseWriter
	body bytes.Buffer
}

// Write implements io.Writer.
func (c *copier) Write(p []byte) (int, error) {
	c.body.Write(p)
	return c.ResponseWriter.Write(p)
}

// Unwrap lets a response controller flush.
func (c *copier) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// leaks returns where output has a part of a secret, in any form in which logs write
// values: the kind and the form, and what is written before it.
func (s *secrets) leaks(output string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := map[string]string{}
	for value, name := range s.found {
		for form, text := range forms(value) {
			for i := 0; i+window <= len(text); i++ {
				parts[text[i:i+window]] = name + " " + form
			}
		}
	}
	var all []string
	told := map[string]bool{}
	for i := 0; i+window <= len(output); i++ {
		if what, found := parts[output[i:i+window]]; found && !told[what] {
			told[what] = true
			all = append(all, what+" after …"+output[max(0, i-80):i])
		}
	}
	return all
}

// forms are the ways to write a value. Base64 depends on where in the encoded text the
// value begins, so there are three of each.
func forms(value string) map[string]string {
	f := map[string]string{
		"raw": value, "URL": url.QueryEscape(value), "path": url.PathEscape(value),
		"hex": hex.EncodeToString([]byte(value)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(value))),
	}
	for i := range 3 {
		shifted := []byte(value[i:])
		f["base64 "+string(rune('0'+i))] = base64.RawStdEncoding.EncodeToString(shifted)
		f["base64url "+string(rune('0'+i))] = base64.RawURLEncoding.EncodeToString(shifted)
	}
	// What a token is made of. The clear part of ours, in front, has the id of the grant,
	// which logs name.
	prefix, rest, ours := strings.Cut(value, "t_")
	if !ours || prefix != "mcpo_a" && prefix != "mcpo_r" {
		rest = value
	}
	if raw, err := base64.RawURLEncoding.DecodeString(rest); err == nil && len(raw) > 48 {
		f["hex of the bytes"] = hex.EncodeToString(raw[24:])
	}
	return f
}

// A search that finds nothing proves something only if it can find.
func TestLeaksAreFound(t *testing.T) {
	t.Parallel()
	const value = "Zm9v/YmFy+MTIzNDU2Nzg5MGFiY2RlZg==&x"
	s := &secrets{}
	s.add("token", value)
	for form, text := range forms(value) {
		for i := 0; i+window <= len(text); i += 5 {
			if len(s.leaks(`{"level":"debug","msg":"x `+text[i:i+window]+` y"}`)) == 0 {
				t.Errorf("%s from %d is not found", form, i)
			}
		}
	}
	if found := s.leaks(`{"level":"debug","msg":"handled request","value":"Zm9v/YmFy+MTIzN"}`); len(found) > 0 {
		t.Errorf("found %q", found)
	}
}
