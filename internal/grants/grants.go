// SPDX-License-Identifier: Apache-2.0

// Package grants is the life of a sign-in: from the login that a person started, over
// the code that proves it, to the grant behind a client's tokens. Each of the three is
// one sealed record, and every rule here is a compare-and-swap on one record, so it
// holds across nodes without locks.
package grants

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// Config is what a Service needs; all fields are required.
type Config struct {
	Vault  *vault.Vault
	Site   seal.Site
	Now    clock.Func
	Rand   io.Reader
	Events event.Sink
	// Changed is called on this node after the tokens of a grant were cut back, so that
	// whoever cached an answer about them forgets it. It must not block.
	Changed func(grant tokens.ID)
	// Hold keeps everything that the Service works with open until the function that it
	// returns is called; nil says that it is closing. Work that no request waits for runs
	// within. Without Hold nothing ever closes.
	Hold func() (release func())
}

// Service keeps logins, codes and grants of one issuer. It is safe for concurrent use.
type Service struct {
	Config
	refreshes singleflight.Group
	checks    singleflight.Group
	checking  chan struct{} // holds one value for each check in progress
}

// New returns a Service.
func New(c Config) *Service { return &Service{Config: c, checking: make(chan struct{}, maxChecks)} }

// Issued is what the token endpoint hands to the client.
type Issued struct {
	Access  tokens.Token
	Refresh *tokens.Token // nil where the client may not refresh
	Expires time.Time     // of the access token
	Scopes  oauth.Scopes
	// GrantExpires is when the grant ends unless it is refreshed before.
	GrantExpires time.Time
	Grant        tokens.ID
	Person       string
	Resource     string
}

// Terms are the parts of a configuration that rule over a redemption or a refresh.
type Terms struct {
	Policy   *policy.Policy
	Provider provider.Provider
}

// byAccess tells whether live access tokens open the provider's token too, so that a check
// can follow their use.
func (t Terms) byAccess() bool { return t.Policy.Verify.Every > 0 }

var errInvalidGrant = oauth.New(oauth.InvalidGrant, "The code or token is not valid.")

// refuse is invalid_grant with a private reason; the client is told no more, because
// the difference between unknown, expired and foreign helps only an attacker.
func refuse(reason string) error {
	return errInvalidGrant.WithCause(fmt.Errorf("%s", reason))
}

// deadline bounds a sequence that changes state. Such a sequence outlives the request
// that began it: half of a rotation helps nobody.
const deadline = 10 * time.Second

func detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), deadline)
}

// authentic checks a token's MAC under the root that made it. It costs no read of the
// token's record, so invented tokens never reach the store.
func (s *Service) authentic(ctx context.Context, t tokens.Token) (bool, error) {
	root, known, err := s.Vault.Root(ctx, t.KID)
	if err != nil || !known {
		return false, err
	}
	return t.Verify(root, s.Site), nil
}

// mint makes a token of the given type.
func (s *Service) mint(ctx context.Context, t tokens.Type, id tokens.ID, gen uint32) (tokens.Token, error) {
	root, err := s.Vault.ActiveRoot(ctx)
	if err != nil {
		return tokens.Token{}, err
	}
	return tokens.Mint(s.Rand, root, s.Site, t, id, gen)
}
