// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"sync"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

var errDown = errors.New("it is down: dial tcp 10.1.2.3:6379")

// fakeProvider signs in one person and remembers what it was asked.
type fakeProvider struct {
	mu                              sync.Mutex
	urlErr, exchangeErr, refreshErr error
	nobody                          bool
	urls                            []provider.AuthorizationRequest
	exchanges                       []provider.ExchangeRequest
	refreshes                       int
}

const idp = "https://login.example/authorize"

var alice = provider.Person{
	Subject: "tenant.alice", Name: "Alice", PreferredUsername: "alice@contoso.example",
	Email: "alice@contoso.example", EmailVerified: true, Roles: []string{"reader"},
}

func (*fakeProvider) Name() string { return "Microsoft" }

func (p *fakeProvider) AuthorizationURL(_ context.Context, r provider.AuthorizationRequest) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.urls = append(p.urls, r)
	if p.urlErr != nil {
		return "", p.urlErr
	}
	return idp + "?" + url.Values{
		"state": {r.State}, "nonce": {r.Nonce.Reveal()}, "code_challenge": {r.Challenge}, "redirect_uri": {r.RedirectURI},
	}.Encode(), nil
}

func (p *fakeProvider) Exchange(_ context.Context, r provider.ExchangeRequest) (*provider.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.exchanges = append(p.exchanges, r)
	if p.exchangeErr != nil {
		return nil, p.exchangeErr
	}
	if p.nobody {
		return &provider.Session{}, nil
	}
	return &provider.Session{Person: alice, RefreshToken: secret.New("upstream-0")}, nil
}

func (p *fakeProvider) Refresh(context.Context, secret.String) (*provider.Session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refreshErr != nil {
		return nil, p.refreshErr
	}
	p.refreshes++
	return &provider.Session{RefreshToken: secret.New("upstream-" + strconv.Itoa(p.refreshes))}, nil
}

func (*fakeProvider) Warm(context.Context) error { return nil }

func (p *fakeProvider) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.urls) + len(p.exchanges)
}
