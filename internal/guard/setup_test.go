// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

const (
	good      = "mcpo_at_good"
	elsewhere = "mcpo_at_elsewhere"
	narrow    = "mcpo_at_narrow"
	foreign   = "mcpo_at_foreign"
	stale     = "mcpo_at_stale"
)

var (
	start    = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	errStore = errors.New("store is down")
)

// bench is a guard with everything around it under control.
type bench struct {
	*Guard
	clock   *clock.Fake
	policy  *policy.Policy
	res     *policy.Resource
	target  *Target
	checks  atomic.Int32
	endedMu sync.Mutex
	ended   map[[16]byte]error // what Alive says about a grant
	// invented tells whether a token was not made here; nil says that all were.
	invented func(token string) bool
	tokens   map[string]*Access
	fail     error         // of the look-up
	gate     chan struct{} // when set, a look-up waits for it
	entered  chan struct{} // when set, a look-up says that it began
	lookups  atomic.Int32
	minted   atomic.Int32
	jwt      func(n int32) (string, error)
	events   []event.Event // but for those of use
	uses     []event.Event
}

func (b *bench) Access(ctx context.Context, token string) (*Access, error) {
	b.lookups.Add(1)
	if b.entered != nil {
		b.entered <- struct{}{}
	}
	if b.gate != nil {
		<-b.gate
	}
	if b.fail != nil {
		return nil, b.fail
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a, ok := b.tokens[token]
	if !ok {
		return nil, oauth.New(oauth.InvalidToken, `The access token is "not", valid.`)
	}
	return a, nil
}

func (b *bench) Authentic(_ context.Context, token string) error {
	if b.invented != nil && b.invented(token) {
		return oauth.New(oauth.InvalidToken, "The access token is not valid.")
	}
	return nil
}

func (b *bench) Alive(_ context.Context, grant [16]byte) error {
	b.checks.Add(1)
	b.endedMu.Lock()
	defer b.endedMu.Unlock()
	return b.ended[grant]
}

// end makes Alive answer with err about a grant.
func (b *bench) end(grant byte, err error) {
	b.endedMu.Lock()
	defer b.endedMu.Unlock()
	b.ended[[16]byte{grant}] = err
}

func (b *bench) mint(_ context.Context, a *Access, _ *policy.Policy, _ *policy.Resource) (string, time.Time, error) {
	n := b.minted.Add(1)
	jwt, err := b.jwt(n)
	return jwt, earlier(b.clock.Now().Add(5*time.Minute), a.Expires), err
}

func (b *bench) Emit(_ context.Context, e event.Event) {
	b.endedMu.Lock()
	defer b.endedMu.Unlock()
	if e.Kind == event.TokenUsed {
		b.uses = append(b.uses, e)
		return
	}
	b.events = append(b.events, e)
}

func setup() *bench {
	res := &policy.Resource{
		URL: "https://h.example/mcp", Origin: "https://h.example", Host: "h.example", Path: "/mcp",
		Scopes: oauth.Scopes{"mcp"}, AllowedOrigins: []string{"https://app.example"},
	}
	person := provider.Person{Subject: "t.o", ObjectID: "o", Roles: []string{"Dev"}}
	access := func(id byte, change func(*Access)) *Access {
		a := &Access{
			Grant: [16]byte{id}, Record: [32]byte{id}, Client: "dcr_x", Person: person, Resource: res.URL,
			Scopes: oauth.Scopes{"mcp"}, Expires: start.Add(time.Hour),
		}
		change(a)
		return a
	}
	b := &bench{
		clock: clock.NewFake(start), res: res,
		policy: &policy.Policy{Issuer: "https://h.example/oauth", Resources: []*policy.Resource{res}, Lifetimes: policy.DefaultLifetimes(), Streams: policy.DefaultStreams(), Fingerprint: "p1"},
		ended:  map[[16]byte]error{},
		jwt:    func(n int32) (string, error) { return "jwt." + strconv.Itoa(int(n)), nil },
		tokens: map[string]*Access{
			good:      access(1, func(*Access) {}),
			elsewhere: access(2, func(a *Access) { a.Resource = "https://h.example/other" }),
			narrow:    access(3, func(a *Access) { a.Scopes = oauth.Scopes{"files.read", "offline_access"} }),
			foreign:   access(4, func(a *Access) { a.Person = provider.Person{Subject: "t.x"} }),
			stale:     access(5, func(a *Access) { a.Expires = start }),
		},
	}
	b.target = NewTarget(b.policy, res)
	b.Guard = New(Config{Grants: b, Mint: b.mint, Now: b.clock.Now, Events: b})
	return b
}

// request is a request with a token ("" for none) and further header lines.
func (b *bench) request(token string, headers ...string) Request {
	r := httptest.NewRequest(http.MethodPost, "https://h.example/mcp", nil)
	r.TLS = nil
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return Request{HTTP: r, Target: b.target, Began: b.clock.Now()}
}

// answer is what a client sees of a request: 200 stands for a pass.
func (b *bench) answer(req Request) (*httptest.ResponseRecorder, *Pass) {
	pass, err := b.Admit(context.Background(), req)
	w := httptest.NewRecorder()
	if err != nil {
		b.Refuse(w, req, err, "ref1")
	}
	return w, pass
}

func (b *bench) admit(t *testing.T, token string) *Pass {
	t.Helper()
	return b.answerTo(t, b.request(token))
}

func (b *bench) answerTo(t *testing.T, req Request) *Pass {
	t.Helper()
	pass, err := b.Admit(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return pass
}

func code(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var body struct{ Error, Ref string }
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("body %q: %v", w.Body, err)
	}
	if body.Ref != "ref1" {
		t.Errorf("ref %q", body.Ref)
	}
	return body.Error
}
