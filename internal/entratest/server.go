// SPDX-License-Identifier: Apache-2.0

// Package entratest has an emulator of Microsoft Entra ID and a small OpenID provider,
// for tests and for the quickstart. Both keep the rules that a client can see and can be
// told to fail in the ways that the real services do. They are not for production: who
// signs in is chosen from a list.
//
// What the emulator cannot prove: conditional access, the consent screens of Microsoft,
// and how long a change takes to reach all of its servers.
package entratest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// Endpoint names a part of a server, for faults and in the log of requests.
type Endpoint string

// The endpoints. Page is where the form of the sign-in page goes.
const (
	Metadata  Endpoint = "metadata"
	Keys      Endpoint = "keys"
	Authorize Endpoint = "authorize"
	Page      Endpoint = "page"
	Token     Endpoint = "token"
	UserInfo  Endpoint = "userinfo"
)

// Request is one request that a server received.
type Request struct {
	Endpoint Endpoint
	Method   string
	Path     string
	Query    url.Values
	Form     url.Values // of the body
	Header   http.Header
}

// maxRequests bounds the log of a server that runs for long.
const maxRequests = 10_000

// server is what the emulator and the OpenID provider share: the log of requests,
// faults, keys, and the codes and tokens that were issued.
type server struct {
	base  string // scheme and host, without a slash at the end
	now   clock.Func
	rand  io.Reader
	mux   *http.ServeMux
	http  *http.Server
	done  context.Context // ends when the server closes
	close context.CancelFunc

	mu       sync.Mutex
	requests []Request
	faults   map[Endpoint]Fault
	forge    func(*IDToken)
	keys     []*signingKey // the last one signs
	grants   map[string]*grant
	revoked  map[string]time.Time // by user
	auto     string
	noToken  bool // no refresh token is issued
}

func newServer(base string, now clock.Func, random io.Reader) *server {
	if now == nil {
		now = clock.System
	}
	if random == nil {
		random = rand.Reader
	}
	s := &server{
		base: base, now: now, rand: random, mux: http.NewServeMux(),
		faults: make(map[Endpoint]Fault), grants: make(map[string]*grant), revoked: make(map[string]time.Time),
	}
	s.done, s.close = context.WithCancel(context.Background())
	return s
}

// listen serves on addr in the background and fills base.
func (s *server) listen(addr string) error {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("starting the emulator: %w", err)
	}
	s.base = "http://" + l.Addr().String()
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go func() { _ = s.http.Serve(l) }()
	return nil
}

// URL is scheme and host under which the server is reached: the authority of the
// emulator, the issuer of the OpenID provider.
func (s *server) URL() string { return s.base }

// Close ends the server and every request that hangs.
func (s *server) Close() {
	s.close()
	if s.http != nil {
		_ = s.http.Close()
	}
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// handle serves an endpoint: each request is noted first, then a fault comes before the
// real answer.
func (s *server) handle(pattern string, e Endpoint, h http.HandlerFunc) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		form, _ := url.ParseQuery(string(body))
		s.note(Request{Endpoint: e, Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Form: form, Header: r.Header.Clone()})
		if f, broken := s.fault(e); broken {
			f.serve(s, w, r)
			return
		}
		h(w, r)
	})
}

func (s *server) note(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) == maxRequests {
		s.requests = s.requests[1:]
	}
	s.requests = append(s.requests, r)
}

// Requests returns what the endpoint received, oldest first; "" means all endpoints.
func (s *server) Requests(e Endpoint) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Request
	for _, r := range s.requests {
		if e == "" || r.Endpoint == e {
			out = append(out, r)
		}
	}
	return out
}

// SignInAs makes the authorization endpoint sign this user in without showing the page;
// "" shows it again.
func (s *server) SignInAs(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.auto = username
}

// WithoutRefreshTokens makes the token endpoint return none.
func (s *server) WithoutRefreshTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noToken = true
}

// random returns n random bytes as text.
func (s *server) random(n int) string {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.rand, b); err != nil {
		panic("entratest: no randomness: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// redirectBack sends the browser to the client with the answer in the query.
func redirectBack(w http.ResponseWriter, r *http.Request, redirectURI string, answer url.Values) {
	u, err := url.Parse(redirectURI)
	if err != nil {
		http.Error(w, "bad redirect URI", http.StatusBadRequest)
		return
	}
	q := u.Query()
	maps.Copy(q, answer)
	u.RawQuery = q.Encode()
	http.Redirect(w, r, u.String(), http.StatusFound)
}
