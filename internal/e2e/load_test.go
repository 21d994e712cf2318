// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
)

// work is a kind of what honest clients do.
type work int

const (
	logins work = iota
	refreshes
	calls
	kinds
)

// load is honest clients at work while something is done to the servers. Every answer that
// an honest client should not get is a failure.
type load struct {
	w         *world
	ctx       context.Context
	stop      context.CancelFunc
	transport http.RoundTripper
	workers   sync.WaitGroup

	done     [kinds]atomic.Int64
	sessions chan *session  // nobody is refreshing them
	tokens   []atomic.Value // the access token of each session that is the newest
	turn     atomic.Int64   // whose token is next
	mu       sync.Mutex
	failures []string
}

// session is what one client on one device holds.
type session struct {
	client string
	index  int
	tokens
}

// newLoad signs n people in.
func newLoad(w *world, transport http.RoundTripper, n int) *load {
	w.t.Helper()
	l := &load{w: w, transport: transport, sessions: make(chan *session, n), tokens: make([]atomic.Value, n)}
	l.ctx, l.stop = context.WithCancel(w.ctx)
	for i := range n {
		s, err := l.signIn()
		if err != nil {
			w.t.Fatalf("signing in: %v\n%s", err, w.caddy.Output())
		}
		s.index = i
		l.tokens[i].Store(s.access)
		l.sessions <- s
	}
	return l
}

// run has some clients work until end is called. every is how often one piece of work is
// begun, if the machine can; zero is as often as it can.
func (l *load) run(kind work, clients int, every time.Duration) {
	do := [kinds]func() error{l.login, l.refreshOne, l.call}[kind]
	pace := l.pace(every)
	for range clients {
		l.workers.Go(func() {
			for l.ctx.Err() == nil {
				select {
				case <-pace:
				case <-l.ctx.Done():
					return
				}
				if err := do(); err == nil {
					l.done[kind].Add(1)
				} else if l.ctx.Err() == nil {
					l.failed(err)
				}
			}
		})
	}
}

// pace delivers a value each time that a piece of work is due.
func (l *load) pace(every time.Duration) <-chan time.Time {
	if every == 0 {
		always := make(chan time.Time)
		close(always)
		return always
	}
	due := make(chan time.Time, 1000)
	l.workers.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for l.ctx.Err() == nil {
			select {
			case due <- <-tick.C:
			case <-l.ctx.Done():
			}
		}
	})
	return due
}

// end lets the clients finish what they are doing.
func (l *load) end() {
	l.stop()
	l.workers.Wait()
}

// awaitWork waits until the clients have done so much more of each kind.
func (l *load) awaitWork(more [kinds]int64) {
	l.w.t.Helper()
	for kind := range more {
		more[kind] += l.done[kind].Load()
	}
	deadline, again := time.After(patience), time.NewTicker(time.Millisecond)
	defer again.Stop()
	for kind := range more {
		for l.done[kind].Load() < more[kind] {
			select {
			case <-again.C:
			case <-deadline:
				l.end()
				l.w.t.Fatalf("the clients are stuck: %v\n%s", l.failures, l.w.caddy.Output())
			}
		}
	}
}

// check reports every failure, after each session was used once more. The clients have
// ended.
func (l *load) check() {
	l.w.t.Helper()
	for range len(l.tokens) {
		if err := l.refreshOne(); err != nil {
			l.failed(err)
		}
	}
	for range len(l.tokens) {
		if err := l.call(); err != nil {
			l.failed(err)
		}
	}
	for _, f := range l.failures {
		l.w.t.Error(f)
	}
}

func (l *load) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, time.Now().Format("15:04:05.000 ")+err.Error())
}

// login is a complete one: registration, consent, the provider, and the tokens.
func (l *load) login() error {
	s, err := l.signIn()
	if err == nil {
		err = l.use(s.access)
	}
	return err
}

func (l *load) signIn() (*session, error) {
	var registered struct {
		ID string `json:"client_id"`
	}
	if err := l.post(l.w.issuer+"/register", "application/json", "", registration, &registered); err != nil {
		return nil, err
	}
	verifier, err := pkce.NewVerifier(rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &rawClient{world: l.w, issuer: l.w.issuer, id: registered.ID, redirect: mcptest.RedirectURI}
	a := &attempt{client: c, resource: l.w.resource, verifier: verifier, state: rand.Text()}
	answer, err := mcptest.SignIn(l.ctx, &mcptest.Browser{Transport: l.transport}, a.url(), mcptest.Agree)
	if err != nil {
		return nil, fmt.Errorf("signing in: %w", err)
	}
	return l.token(c.id, url.Values{
		"grant_type": {"authorization_code"}, "client_id": {c.id}, "code": {answer.Code},
		"redirect_uri": {c.redirect}, "code_verifier": {verifier}, "resource": {l.w.resource},
	})
}

// refreshOne renews the tokens of the session that waits longest.
func (l *load) refreshOne() error {
	s := <-l.sessions
	defer func() { l.sessions <- s }()
	return l.refresh(s)
}

func (l *load) refresh(s *session) error {
	next, err := l.token(s.client, url.Values{
		"grant_type": {"refresh_token"}, "client_id": {s.client}, "refresh_token": {s.tokens.refresh},
	})
	if err != nil {
		return fmt.Errorf("refresh: %w", err)
	}
	s.tokens = next.tokens
	l.tokens[s.index].Store(s.access)
	return nil
}

// call uses the token of one session after the other.
func (l *load) call() error {
	i := int(l.turn.Add(1)) % len(l.tokens)
	return l.use(l.tokens[i].Load().(string))
}

func (l *load) use(token string) error {
	return l.post(l.w.resource, "application/json", token, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, nil)
}

func (l *load) token(client string, form url.Values) (*session, error) {
	var got struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	err := l.post(l.w.issuer+"/token", "application/x-www-form-urlencoded", "", form.Encode(), &got)
	if err == nil && (got.Access == "" || got.Refresh == "") {
		err = errors.New("no tokens")
	}
	return &session{client: client, tokens: tokens{access: got.Access, refresh: got.Refresh}}, err
}

// post wants an answer of 200 or 201, and JSON where there is a place for it. What is under way when the clients end may
// finish: half of a refresh would look like a thief's.
func (l *load) post(target, contentType, token, body string, into any) error {
	ctx := context.WithoutCancel(l.ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := l.transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%s: %w", req.URL.Path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s: reading the answer: %w", req.URL.Path, err)
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("%s: %d %s", req.URL.Path, resp.StatusCode, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}
