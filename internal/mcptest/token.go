// SPDX-License-Identifier: Apache-2.0

package mcptest

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/oauth2"
)

var errNotSignedIn = errors.New("not signed in")

// Tokens are what a client holds. It implements oauth2.TokenSource: a token that has
// expired is refreshed, as any client does, and Refresh does it at once.
type Tokens struct {
	mu      sync.Mutex
	ctx     context.Context
	config  *oauth2.Config
	current *oauth2.Token
}

// hold is the NewTokenSource of the official client: it is called after each exchange of
// a code, with a context that carries the HTTP client for refreshes.
func (t *Tokens) hold(ctx context.Context, c *oauth2.Config, first *oauth2.Token) (oauth2.TokenSource, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ctx, t.config, t.current = ctx, c, first
	return t, nil
}

// Token implements oauth2.TokenSource.
func (t *Tokens) Token() (*oauth2.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current.Valid() {
		return t.current, nil
	}
	return t.refresh()
}

// Current returns the tokens as they are, or nil before the first sign-in.
func (t *Tokens) Current() *oauth2.Token {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

// ClientID is the identifier that the client got, or "" before the first sign-in.
func (t *Tokens) ClientID() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.config == nil {
		return ""
	}
	return t.config.ClientID
}

// Refresh trades the refresh token for new tokens now.
func (t *Tokens) Refresh() (*oauth2.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refresh()
}

func (t *Tokens) refresh() (*oauth2.Token, error) {
	if t.current == nil {
		return nil, errNotSignedIn
	}
	expired := &oauth2.Token{RefreshToken: t.current.RefreshToken}
	next, err := t.config.TokenSource(t.ctx, expired).Token()
	if err != nil {
		return nil, err
	}
	t.current = next
	return next, nil
}
