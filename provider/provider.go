// SPDX-License-Identifier: Apache-2.0

// Package provider is the contract between mcp_oauth and the sign-in that a company
// already has. A provider signs people in and says later whether they still may be.
//
// Three outcomes, everywhere: yes is a Session; no is an *Ended or a *Refused; any
// other error means that the provider could not be asked, and nobody loses a session
// over it.
package provider

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

// Provider signs people in. Implementations discover their endpoints lazily and retry,
// so constructing one dials nothing. All methods may be called concurrently.
type Provider interface {
	// Name is what the consent page says comes next, for instance "Microsoft".
	Name() string

	// AuthorizationURL returns where the browser goes to sign in.
	AuthorizationURL(ctx context.Context, r AuthorizationRequest) (string, error)

	// Exchange redeems the provider's code and verifies the ID token. A definite no is a
	// *Refused.
	Exchange(ctx context.Context, r ExchangeRequest) (*Session, error)

	// Refresh asks the provider whether the person may still be signed in. A definite no
	// is an *Ended. The caller compares the Subject of the answer with the one it knows
	// (OpenID Connect Core §12.2: sub MUST be the same).
	Refresh(ctx context.Context, refreshToken secret.String) (*Session, error)

	// Warm discovers the provider, so that the first person does not wait for it.
	Warm(ctx context.Context) error
}

// Builder is what a provider module is: checked configuration that can build a
// Provider. It has no state of its own and dials nothing.
type Builder interface {
	// Build returns the Provider. It fails only for configuration that cannot work.
	Build(env Env) (Provider, error)
	// Identity is equal for two builders exactly when their providers behave alike: the
	// same sign-in, client, credential and options. It is a digest and shows no secret.
	Identity() string
	// Verification says when the provider is asked again about somebody who signed in.
	Verification() Verification
}

// Verification says when a provider is asked again whether somebody still may be signed
// in. The zero value asks with every refresh.
type Verification struct {
	// Never keeps no token of the provider, so that nobody can ask.
	Never bool
	// Every is how old a yes of the provider may become while it is relied upon; the
	// provider is then asked with whatever is used next, a refresh or an access token. Zero
	// asks with every refresh and with nothing else.
	Every time.Duration
}

// Env is what a provider gets from its surroundings.
type Env struct {
	// Now is the clock by which tokens expire.
	Now func() time.Time
	// Rand is the source of randomness.
	Rand io.Reader
	// Log stays valid across reloads of the configuration.
	Log *slog.Logger
	// HTTP carries the requests to the provider; nil is a client of the provider's own.
	// Its policy for redirects is replaced: none is followed.
	HTTP *http.Client
}

// AuthorizationRequest is what differs between two sign-ins. Client parameters such as
// resource or scope are not in it: they never reach the provider.
type AuthorizationRequest struct {
	// State is the handle that comes back to the callback.
	State string
	// Nonce is bound into the ID token.
	Nonce secret.String
	// Challenge is the S256 code challenge of our own verifier.
	Challenge string
	// RedirectURI is the callback of this issuer.
	RedirectURI string
	// SelectAccount asks the provider to let the person choose the account, where it can.
	SelectAccount bool
}

// ExchangeRequest redeems a code.
type ExchangeRequest struct {
	// ResponseIssuer is the iss of the authorization response (RFC 9207), nil without one.
	ResponseIssuer *string
	Code           secret.String
	Verifier       secret.String
	Nonce          secret.String
	RedirectURI    string
}

// Session is a yes: who the person is, and how to ask again.
type Session struct {
	// Person is zero after a Refresh that brought no ID token (OpenID Connect Core §12.2
	// leaves it optional): what is known about the person stays as it was.
	Person Person
	// RefreshToken is zero where the provider gave none. After a Refresh it is the one to
	// use next, which is the one that was sent where the provider did not replace it.
	RefreshToken secret.String
}

// Person is who signed in, as the provider vouches for it.
type Person struct {
	// Subject is the stable identifier that backends see as sub: "<tid>.<oid>" for
	// Microsoft Entra ID, the provider's sub otherwise. Never an e-mail address.
	Subject string
	// Issuer is the iss of the ID token.
	Issuer string
	// Tenant and ObjectID are Entra's tid and oid; empty elsewhere.
	Tenant, ObjectID string
	// Name and PreferredUsername are for display only.
	Name, PreferredUsername string
	// Email is set only where EmailVerified could be established or for display; rules
	// may use it only when EmailVerified is true.
	Email         string
	EmailVerified bool
	// Roles and Groups are nil where the provider states none.
	Roles, Groups []string
	// AuthTime is when the person signed in, zero where unknown.
	AuthTime time.Time
}

// Refused is a definite no to a sign-in.
type Refused struct {
	// Reason is a fixed word for logs and help texts, such as "access_denied",
	// "id_token" or "configuration".
	Reason string
	// Reference is the provider's own correlation id, which its administrators can look
	// up; may be empty.
	Reference string
	// Cause is for the log alone.
	Cause error
}

func (e *Refused) Error() string { return fmt.Sprintf("provider refused (%s): %v", e.Reason, e.Cause) }

// Unwrap returns the private cause.
func (e *Refused) Unwrap() error { return e.Cause }

// Ended is a definite no to a refresh: the account is disabled, the session revoked,
// or the person has to sign in interactively again.
type Ended struct {
	Reason    string
	Reference string
	Cause     error
}

func (e *Ended) Error() string {
	return fmt.Sprintf("provider ended the session (%s): %v", e.Reason, e.Cause)
}

// Unwrap returns the private cause.
func (e *Ended) Unwrap() error { return e.Cause }
