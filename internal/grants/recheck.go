// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
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
	modeRecovered = "recovered" // an answer was lost, and its tokens were replaced
	modeGraced    = "graced"    // the same answer once more
	modeUnchecked = "unchecked" // there is nothing to ask the provider with
	modeRecent    = "recent"    // the last yes is younger than the interval of checks
	modeOutage    = "outage"    // the provider could not be asked, and its last yes is young
)

// verdict is what asking the provider came to: a yes, or leave to go on without one.
type verdict struct {
	// mode is modeRotated, modeUnchecked or modeOutage.
	mode string
	// token is what to ask with next time; zero where there is nothing to ask with.
	token secret.String
	// yes is when the provider vouched for the person, 0 where it did not.
	yes int64
	// person is what the provider says now, nil where it says nothing new.
	person *person
}

// changes tells whether the provider says something new about the person of g.
func (v *verdict) changes(g *grantRecord) bool {
	if v.person == nil {
		return false
	}
	now, then := *v.person, g.Person
	same := slices.Equal(now.Roles, then.Roles)
	now.Roles, then.Roles = nil, nil
	return !same || !reflect.DeepEqual(now, then)
}

// apply writes the verdict down.
func (v *verdict) apply(g *grantRecord) {
	if v.yes != 0 {
		g.LastYes = v.yes
	}
	if v.person != nil {
		g.Person = *v.person
	}
}

// ask asks the provider with its own token whether the person of g may still be signed in;
// the caller holds the lease of the grant. It changes nothing: the verdict is for the
// caller to apply and to store together with its token, before anybody is answered. A
// definite no is *provider.Ended; anything else that prevents an answer is an error only
// when the last yes is too old to bridge an outage.
func (s *Service) ask(ctx context.Context, terms Terms, g *grantRecord, id tokens.ID, token secret.String) (*verdict, error) {
	ask, cancel := context.WithTimeout(ctx, providerTimeout)
	defer cancel()
	session, err := terms.Provider.Refresh(ask, token)
	if err == nil {
		var v *verdict
		if v, err = s.accept(terms, g, session); err == nil {
			if v.token.IsZero() {
				v.token = token
			}
			return v, nil
		}
	}
	if endedBy(err) != nil {
		return nil, err
	}
	s.Events.Emit(ctx, event.Event{Kind: event.ProviderUnsettled, Client: g.Client, Person: g.Person.Subject, Grant: id.String(), Cause: err})
	if s.Now().Sub(time.Unix(g.LastYes, 0)) >= bridge(terms.Policy) {
		return nil, fmt.Errorf("provider cannot be asked: %w", err)
	}
	return &verdict{mode: modeOutage, token: token}, nil
}

// accept makes a verdict of what the provider says now. A provider that answers a refresh
// without an ID token vouches for the person without new claims.
func (s *Service) accept(terms Terms, g *grantRecord, session *provider.Session) (*verdict, error) {
	v := &verdict{mode: modeRotated, token: session.RefreshToken, yes: s.Now().Unix()}
	now := session.Person
	if now.Subject == "" {
		return v, nil
	}
	if now.Subject != g.Person.Subject {
		return nil, &provider.Ended{Reason: "another_person", Cause: errors.New("the provider answered for another subject")}
	}
	if !terms.Policy.Allow.Permits(now) {
		return nil, &provider.Ended{Reason: "policy", Cause: errors.New("policy no longer permits this person")}
	}
	p := toRecord(now)
	v.person = &p
	return v, nil
}

func endedBy(err error) *provider.Ended {
	var e *provider.Ended
	if errors.As(err, &e) {
		return e
	}
	return nil
}
