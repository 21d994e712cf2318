// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/pkce"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Redemption is an authorization_code request of an authenticated client
// (RFC 6749 §4.1.3).
type Redemption struct {
	Client   string
	Code     string
	Verifier string
	// RedirectURI is nil when the request has none, which OAuth 2.1 allows.
	RedirectURI *string
	Resource    string
	// Refreshable tells whether the client may use refresh tokens.
	Refreshable bool
}

// Redeem exchanges a code for tokens, at most once. What does not fit the code (client,
// redirect URI, resource) costs the request; a wrong verifier costs the code; a second
// valid use of a code that already became a grant costs the grant (RFC 6749 §4.1.2: the
// server SHOULD revoke all tokens issued from it).
func (s *Service) Redeem(ctx context.Context, terms Terms, r Redemption) (*Issued, error) {
	code, err := s.parseCode(ctx, r.Code)
	if err != nil {
		return nil, err
	}
	ctx, cancel := detach(ctx)
	defer cancel()
	rec, err := vault.Get(ctx, s.Vault, codeKind, code.ID.String())
	if errors.Is(err, store.ErrNotFound) {
		return nil, refuse("code unknown or expired")
	}
	if err != nil {
		return nil, err
	}
	if err := rec.Value.fits(terms, code, r); err != nil {
		return nil, err
	}
	if err := s.checkVerifier(ctx, rec, r.Verifier); err != nil {
		return nil, err
	}
	if rec.Value.Consumed != 0 {
		if err := s.refuseReplay(ctx, rec); err != nil {
			return nil, err
		}
	} else if err := s.consume(ctx, rec); err != nil {
		return nil, err
	}
	return s.create(ctx, terms, code, rec.Value, r.Refreshable)
}

func (s *Service) parseCode(ctx context.Context, text string) (tokens.Token, error) {
	code, ok := tokens.Parse(tokens.Code, text)
	if !ok {
		return tokens.Token{}, refuse("malformed code")
	}
	ok, err := s.authentic(ctx, code)
	if err != nil {
		return tokens.Token{}, err
	}
	if !ok {
		return tokens.Token{}, refuse("code was not made here")
	}
	return code, nil
}

// fits checks what a mistaken client may get wrong without losing the code.
func (c *codeRecord) fits(terms Terms, code tokens.Token, r Redemption) error {
	if !same(code.Hash(), c.Hash) {
		return refuse("another code with this id")
	}
	if c.Request.Client != r.Client {
		return refuse("code belongs to another client")
	}
	if r.RedirectURI != nil && *r.RedirectURI != c.Request.RedirectURI {
		return refuse("redirect_uri differs from the authorization request")
	}
	res := terms.Policy.Find(c.Request.Resource)
	if res == nil {
		return refuse("resource is no longer configured")
	}
	if r.Resource != "" && !res.Same(r.Resource) {
		return oauth.New(oauth.InvalidTarget, "The code was issued for another resource.")
	}
	// One that became a grant before it died is still judged as a replay: a thief who redeems
	// it and then kills it must not keep what the owner's attempt would revoke.
	if c.Dead && c.Consumed == 0 {
		return refuse("code died by a wrong verifier")
	}
	return nil
}

// checkVerifier compares before anything is written. A verifier that cannot be one is
// the client's mistake; one that is wrong is an attack, and kills the code.
func (s *Service) checkVerifier(ctx context.Context, rec *vault.Record[codeRecord], verifier string) error {
	err := pkce.Verify(rec.Value.Request.Challenge, verifier)
	if err == nil {
		return nil
	}
	if errors.Is(err, pkce.ErrVerifier) {
		return oauth.New(oauth.InvalidRequest, "code_verifier is missing or malformed.").WithCause(err)
	}
	rec.Value.Dead, rec.Value.Provider = true, nil
	werr := vault.Update(ctx, s.Vault, codeKind, rec)
	if werr != nil && !errors.Is(werr, store.ErrConflict) && !errors.Is(werr, store.ErrNotFound) {
		return werr
	}
	return refuse("code_verifier does not match")
}

// consume marks the code as used and keeps what the grant is made of until the code's
// life ends, so that a crash or a lost reply after this write loses nothing. Whoever
// comes second finds the code consumed and still competes for the grant.
func (s *Service) consume(ctx context.Context, rec *vault.Record[codeRecord]) error {
	rec.Value.Consumed = s.Now().Unix()
	err := vault.Update(ctx, s.Vault, codeKind, rec)
	if errors.Is(err, store.ErrNotFound) {
		return refuse("code expired")
	}
	if !errors.Is(err, store.ErrConflict) {
		return err
	}
	now, err := vault.Get(ctx, s.Vault, codeKind, rec.ID)
	if errors.Is(err, store.ErrNotFound) {
		return refuse("code expired")
	}
	if err != nil {
		return err
	}
	if now.Value.Dead {
		return refuse("code died by a wrong verifier")
	}
	return nil
}

// refuseReplay decides about a valid request whose first read found the code consumed:
// with its grant present it is a replay, without it the redeemer died and this one may
// go on.
func (s *Service) refuseReplay(ctx context.Context, rec *vault.Record[codeRecord]) error {
	id, err := parseID(rec.Value.Grant)
	if err != nil {
		return err
	}
	switch _, err := vault.Get(ctx, s.Vault, grantKind, id.String()); {
	case errors.Is(err, store.ErrNotFound) && rec.Value.Dead:
		return refuse("code died by a wrong verifier")
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	if err := s.End(ctx, id, ReasonReplay); err != nil {
		return err
	}
	s.Events.Emit(ctx, event.Event{
		Kind: event.CodeReplayed, Client: rec.Value.Request.Client,
		Person: rec.Value.Person.Subject, Grant: id.String(), Resource: rec.Value.Request.Resource,
	})
	return refuse("code was used before")
}

// create makes the grant and its first tokens. The record's creation decides between
// concurrent redeemers; the losers are refused and revoke nothing.
func (s *Service) create(ctx context.Context, terms Terms, code tokens.Token, c codeRecord, refreshable bool) (*Issued, error) {
	id, err := parseID(c.Grant)
	if err != nil {
		return nil, err
	}
	token, err := s.openFrom(code, c.Request.Client, c.Request.Resource, id, c.Provider)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	g := grantRecord{
		ID: id.String(), Epoch: c.Request.Epoch, Person: c.Person, Client: c.Request.Client, Resource: c.Request.Resource, Scope: c.Request.Scope,
		Created: now.Unix(), Absolute: now.Add(terms.Policy.Lifetimes.Refresh).Unix(),
		AuthTime: c.AuthTime, LastYes: now.Unix(), Generation: 1,
	}
	out, err := s.addTokens(ctx, terms, id, &g, oauth.ParseScopes(g.Scope), refreshable)
	if err != nil {
		return nil, err
	}
	dek, err := tokens.NewDataKey(s.Rand)
	if err != nil {
		return nil, err
	}
	if err := s.keep(&g, terms, dek, token, out); err != nil {
		return nil, err
	}
	rec, err := vault.Create(ctx, s.Vault, grantKind, id.String(), g, vault.Options{
		Expires: out.GrantExpires, Person: g.Person.Subject, Client: g.Client,
	})
	if errors.Is(err, store.ErrExists) {
		return nil, refuse("code was redeemed by a concurrent request")
	}
	if err == nil {
		err = s.standsNew(ctx, id, rec)
	}
	if err != nil {
		return nil, err
	}
	s.Events.Emit(ctx, event.Event{
		Kind: event.CodeRedeemed, Client: g.Client, Person: g.Person.Subject, Grant: id.String(), Resource: g.Resource,
		Token: event.TokenHash(out.Access.Hash()),
	})
	return out, nil
}

var errGrantID = errors.New("malformed grant id")

func parseID(s string) (tokens.ID, error) {
	var id tokens.ID
	// hex.Decode panics where there is more than the place for it.
	if len(s) != hex.EncodedLen(len(id)) {
		return id, errGrantID
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return id, errGrantID
	}
	return id, nil
}
