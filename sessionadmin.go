// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// siteRevocation is what a revocation has ended in one site.
type siteRevocation struct {
	Issuer string `json:"issuer"`
	Store  string `json:"store"`
	Ended  int    `json:"ended"`
}

// siteSession is a session of one site, with what the audit trail knows of it.
type siteSession struct {
	Issuer string `json:"issuer"`
	grants.Session
	// History are the latest entries, oldest first; none where the store keeps no trail.
	History []pastEvent `json:"history,omitempty"`
}

// pastEvent is an entry of the audit trail.
type pastEvent struct {
	Time    time.Time `json:"time"`
	Event   string    `json:"event"`
	Mode    string    `json:"mode,omitempty"`
	Address string    `json:"address,omitempty"`
	Ref     string    `json:"ref,omitempty"`
}

// sessionList is an answer about sessions.
type sessionList struct {
	// Sessions are the latest first, per site, at most maxSessions.
	Sessions []siteSession `json:"sessions"`
	// More is how many further ones there are.
	More int `json:"more,omitempty"`
}

const (
	// maxHistory is how many of the latest entries are told.
	maxHistory = 20
	// maxSessions is how many sessions are told. Thousands may share a client.
	maxSessions = 50
)

// grantsOf finds the grants of a site: those that it works with, or those of an inspector,
// which nobody else in this process remembers anything of.
type grantsOf func(ctx context.Context, s *site) (*grants.Service, error)

func workingGrants(ctx context.Context, s *site) (*grants.Service, error) {
	sv, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	return sv.state.Grants, nil
}

func inspectingGrants(ctx context.Context, s *site) (*grants.Service, error) {
	v, err := s.inspector(ctx)
	if err != nil {
		return nil, err
	}
	// Where there are no keys nobody ever signed in: it is not the store that is meant, and
	// nothing is to be made in it.
	if _, _, err := v.Inspect(ctx); err != nil {
		return nil, err
	}
	return grants.New(grants.Config{
		Vault: v, Site: seal.SiteOf(s.key.issuer), Now: clock.System, Rand: rand.Reader, Events: s.sink, Changed: func(tokens.ID) {},
	}), nil
}

// revoke ends what is meant on all sites. It goes on where one site fails.
func (sel *selection) revoke(ctx context.Context, of grantsOf, what grants.Selection) ([]siteRevocation, error) {
	if err := what.Check(); err != nil {
		return nil, badStream{err}
	}
	var all []siteRevocation
	var failed error
	for _, s := range sel.sites {
		g, err := of(ctx, s)
		done := siteRevocation{Issuer: s.key.issuer, Store: s.key.store}
		if err == nil {
			done.Ended, err = g.RevokeAll(ctx, what)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %d sessions ended, then: %w; do it again", s.key.issuer, done.Ended, err))
		}
		all = append(all, done)
	}
	return all, failed
}

// sessions finds what is named on all sites.
func (sel *selection) sessions(ctx context.Context, of grantsOf, what string) (sessionList, error) {
	all := sessionList{Sessions: []siteSession{}}
	for _, s := range sel.sites {
		g, err := of(ctx, s)
		var found []grants.Session
		if err == nil {
			found, err = g.Find(ctx, what)
		}
		if err != nil {
			return all, fmt.Errorf("%s: %w", s.key.issuer, err)
		}
		for _, session := range found {
			if len(all.Sessions) == maxSessions {
				all.More++
				continue
			}
			past, err := s.history(ctx, session)
			if err != nil {
				return all, fmt.Errorf("%s: %w", s.key.issuer, err)
			}
			all.Sessions = append(all.Sessions, siteSession{Issuer: s.key.issuer, Session: session, History: past})
		}
	}
	return all, nil
}

// history is what the audit trail has about a session.
func (s *site) history(ctx context.Context, session grants.Session) ([]pastEvent, error) {
	if session.Grant == "" {
		return nil, nil
	}
	q := store.AuditQuery{Site: seal.SiteOf(s.key.issuer).String(), Grant: session.Grant, Since: session.Created.Add(-time.Minute)}
	var all []pastEvent
	for {
		entries, err := s.store.Find(ctx, q)
		if errors.Is(err, errors.ErrUnsupported) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			all = append(all, pastEvent{Time: e.Time, Event: e.Event, Mode: e.Mode, Address: e.Address, Ref: e.Ref})
			q.Since, q.After = e.Time, e.ID
		}
		all = all[max(len(all)-maxHistory, 0):]
		if len(entries) < store.MaxAuditLimit {
			return all, nil
		}
	}
}

// maxNaming bounds the body of a request that names sessions, in bytes.
const maxNaming = 8 << 10

// question is the body of a request to explain sessions. It is no query, since Caddy logs
// those, and people are called by e-mail addresses.
type question struct {
	// Of is a reference, a person, a client or a grant.
	Of string `json:"of"`
}

func serveRevoke(sel *selection, r *http.Request) ([]siteRevocation, error) {
	var what grants.Selection
	if err := readBody(r, &what, maxNaming, `whom it is about, as {"person": "…"}`); err != nil {
		return nil, err
	}
	// What has begun is finished, also where the caller hangs up. The store bounds each step.
	return sel.revoke(context.WithoutCancel(r.Context()), workingGrants, what)
}

func serveSessions(sel *selection, r *http.Request) (sessionList, error) {
	var ask question
	if err := readBody(r, &ask, maxNaming, `whom it is about, as {"of": "…"}`); err != nil {
		return sessionList{}, err
	}
	return sel.sessions(r.Context(), workingGrants, ask.Of)
}
