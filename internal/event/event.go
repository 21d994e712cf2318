// SPDX-License-Identifier: Apache-2.0

// Package event is the closed set of things that happen in an authorization server and
// are worth knowing later. Components emit events; the root package decides where they
// go. An event never carries a token, a code, a verifier, a cookie or an e-mail address.
package event

import (
	"context"
	"encoding/hex"
)

// Kind names what happened. The set is closed: readers may switch over it.
type Kind string

// What can happen.
const (
	ClientRegistered  Kind = "client_registered"
	ClientRefused     Kind = "client_refused"
	LoginStarted      Kind = "login_started"      // consent was given, the browser goes to the provider
	LoginDenied       Kind = "login_denied"       // the person pressed Cancel, or the policy says no
	LoginFailed       Kind = "login_failed"       // the provider or the callback failed
	BrowserMismatch   Kind = "browser_mismatch"   // a callback without the cookie of its login
	CodeIssued        Kind = "code_issued"        // the browser goes back to the client
	CodeRedeemed      Kind = "code_redeemed"      // a grant was created
	TokenRefused      Kind = "token_refused"      // at the token endpoint
	CodeReplayed      Kind = "code_replayed"      // the grant was revoked for it
	Refreshed         Kind = "refreshed"          // Mode: rotated, graced, recovered, outage, unchecked
	RefreshRefused    Kind = "refresh_refused"    // an authentic token that changes nothing; Mode says why
	RefreshReuse      Kind = "refresh_reuse"      // an old token was shown, the grant was revoked for it
	RefreshFailed     Kind = "refresh_failed"     // no tokens, and no reuse either; Mode: invalid, unavailable
	GrantEnded        Kind = "grant_ended"        // Mode says why
	TokenRevoked      Kind = "token_revoked"      // a client asked for it (RFC 7009); Mode says what became of it
	RevocationRefused Kind = "revocation_refused" // the token is another client's; Mode says so
	// IntrospectionRefused is for whoever may not ask about tokens.
	IntrospectionRefused Kind = "introspection_refused"
	RevocationBegun      Kind = "revocation_begun"   // a command ends many grants; Mode says by what
	RecordTampered       Kind = "record_tampered"    // a sealed record did not open
	KeyringRotated       Kind = "keyring_rotated"    //
	LimitHit             Kind = "limit_hit"          // Mode says which
	BackendRefused       Kind = "backend_refused"    // a backend answered 401 to our JWT
	ProviderUnsettled    Kind = "provider_unsettled" // the provider could not be asked
	AccountVerified      Kind = "account_verified"   // between two refreshes; Mode: same, changed, ended, outage, vain
	TokenUsed            Kind = "token_used"         // first use of an access token on this node within five minutes
)

// Event is one thing that happened.
type Event struct {
	Kind Kind
	// Mode or reason: a fixed word.
	Mode string
	// Ref is the reference id that the person or client was shown.
	Ref string
	// Client is a client id, Person the sub of the JWT, Grant a grant id in hex,
	// Resource a resource URL, Address the client's IP address; each may be empty.
	Client, Person, Grant, Resource, Address string
	// Token is TokenHash of the token that was made or shown; may be empty.
	Token string
	// Agent is the User-Agent header of the request; may be empty.
	Agent string
	// LastAddress is the network and LastAgent the software that made the last rotation
	// before a reuse, or before a graced refresh from elsewhere, both cut short.
	LastAddress, LastAgent string
	// Cause is for the log alone; may be nil.
	Cause error
}

// TokenHash is what an event says of a token: the beginning of its hash, enough to find
// everything that happened with it and of no use to anybody else.
func TokenHash(hash [32]byte) string { return hex.EncodeToString(hash[:8]) }

// Sink takes events. Emit must not block and must not fail.
type Sink interface {
	Emit(ctx context.Context, e Event)
}

// Discard is a Sink that drops everything.
type Discard struct{}

// Emit implements Sink.
func (Discard) Emit(context.Context, Event) {}

// Sinks is a Sink that completes each event and hands it to all of its members.
type Sinks []Sink

// Emit implements Sink.
func (s Sinks) Emit(ctx context.Context, e Event) {
	e = Complete(ctx, e)
	for _, sink := range s {
		sink.Emit(ctx, e)
	}
}
