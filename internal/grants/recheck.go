// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// providerTimeout bounds the provider's part of a refresh: clients give up after 10 s.
const providerTimeout = 5 * time.Second

// How a refresh came about, for the audit trail.
const (
	modeRotated   = "rotated"   // the provider said yes
	modeUnchecked = "unchecked" // the provider gave no refresh token at sign-in
	modeOutage    = "outage"    // the provider could not be asked, and its last yes is young
)

// askProvider asks whether the person may still be signed in and updates g with the
// answer. It returns the token with which to ask next time. A definite no is
// *provider.Ended; anything else that prevents an answer is an error only when the last
// yes is too old to bridge an outage.
func (s *Service) askProvider(ctx context.Context, terms Terms, g *grantRecord, t tokens.Token) (secret.String, string, error) {
	if g.Provider == nil {
		return secret.String{}, modeUnchecked, nil
	}
	token, err := s.openFrom(t, g.Client, g.Resource, t.ID, g.Provider)
	if err != nil {
		return secret.String{}, "", err
	}
	ask, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	session, err := terms.Provider.Refresh(ask, token)
	if err == nil {
		err = s.accept(terms, g, session)
	}
	switch {
	case err == nil:
		if !session.RefreshToken.IsZero() {
			token = session.RefreshToken
		}
		return token, modeRotated, nil
	case endedBy(err) != nil:
		return secret.String{}, "", err
	}
	s.Events.Emit(ctx, event.Event{Kind: event.ProviderUnsettled, Client: g.Client, Person: g.Person.Subject, Grant: t.ID.String(), Cause: err})
	bridge := terms.Policy.Lifetimes.Access + terms.Policy.Lifetimes.ProviderOutage
	if s.Now().Sub(time.Unix(g.LastYes, 0)) >= bridge {
		return secret.String{}, "", fmt.Errorf("provider cannot be asked: %w", err)
	}
	return token, modeOutage, nil
}

// accept takes over what the provider says now. A provider that answers a refresh without
// an ID token vouches for the person without new claims.
func (s *Service) accept(terms Terms, g *grantRecord, session *provider.Session) error {
	g.LastYes = s.Now().Unix()
	now := session.Person
	if now.Subject == "" {
		return nil
	}
	if now.Subject != g.Person.Subject {
		return &provider.Ended{Reason: "another_person", Cause: errors.New("the provider answered for another subject")}
	}
	if !terms.Policy.Allow.Permits(now) {
		return &provider.Ended{Reason: "policy", Cause: errors.New("policy no longer permits this person")}
	}
	g.Person = toRecord(now)
	return nil
}

func endedBy(err error) *provider.Ended {
	var e *provider.Ended
	if errors.As(err, &e) {
		return e
	}
	return nil
}
