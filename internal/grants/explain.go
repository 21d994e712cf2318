// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Session is a grant as an administrator sees it. It holds no token and no hash of one.
type Session struct {
	// Grant is its id, by which the log and the audit trail know it; "" in records of old
	// versions.
	Grant    string `json:"grant,omitempty"`
	Person   string `json:"person"`
	Username string `json:"username,omitempty"`
	Client   string `json:"client"`
	Resource string `json:"resource"`
	Scope    string `json:"scope"`
	// Created is when the code was exchanged, Refreshed the last rotation or zero.
	Created   time.Time `json:"created"`
	Refreshed time.Time `json:"refreshed,omitzero"`
	// Rotations is how often the refresh token was replaced.
	Rotations uint32 `json:"rotations"`
	// Recovered is how often it was replaced again, because the answer was lost, Mode how the
	// last change came about, and Address the network of whoever made it, cut short.
	Recovered uint32 `json:"recovered,omitempty"`
	Mode      string `json:"mode,omitempty"`
	Address   string `json:"address,omitempty"`
	// Checked is when the provider last vouched for the person.
	Checked time.Time `json:"checked,omitzero"`
	// Expires is when the grant ends unless it is refreshed before; of an ended one, when
	// its record goes.
	Expires time.Time `json:"expires"`
	// AccessTokens is how many live.
	AccessTokens int     `json:"access_tokens"`
	Ended        *Ending `json:"ended,omitempty"`
}

// Ending says how a grant ended.
type Ending struct {
	Reason string    `json:"reason"`
	By     string    `json:"by"`
	Time   time.Time `json:"time"`
	Ref    string    `json:"ref"`
	// Provider is the provider's own reference.
	Provider string `json:"provider,omitempty"`
}

// Find returns the grants that what names: by the reference id of their end, by grant id,
// by client id, or by person as in Selection. It reads every grant where an index cannot
// tell. The latest come first.
func (s *Service) Find(ctx context.Context, what string) ([]Session, error) {
	if what == "" || len(what) > maxName {
		return nil, nil
	}
	for _, how := range []func(context.Context, string) ([]Session, error){s.byGrant, s.byIndex, s.bySearch} {
		found, err := how(ctx, what)
		if err != nil || len(found) > 0 {
			slices.SortStableFunc(found, func(a, b Session) int { return b.Created.Compare(a.Created) })
			return found, err
		}
	}
	return nil, nil
}

func (s *Service) byGrant(ctx context.Context, what string) ([]Session, error) {
	id, err := parseID(strings.ToLower(what))
	if err != nil {
		return nil, nil
	}
	rec, err := vault.Get(ctx, s.Vault, grantKind, id.String())
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []Session{s.session(rec)}, nil
}

func (s *Service) byIndex(ctx context.Context, what string) ([]Session, error) {
	found, err := s.search(ctx, vault.Query{Person: what}, func(g *grantRecord) bool { return g.Person.Subject == what })
	if err != nil || len(found) > 0 {
		return found, err
	}
	return s.search(ctx, vault.Query{Client: what}, func(g *grantRecord) bool { return g.Client == what })
}

func (s *Service) bySearch(ctx context.Context, what string) ([]Session, error) {
	return s.search(ctx, vault.Query{}, func(g *grantRecord) bool {
		return g.Person.called(what) || g.Ended != nil && strings.EqualFold(g.Ended.Ref, what)
	})
}

func (s *Service) search(ctx context.Context, q vault.Query, is func(*grantRecord) bool) ([]Session, error) {
	var out []Session
	for {
		page, err := vault.List(ctx, s.Vault, grantKind, q)
		if err != nil {
			return nil, err
		}
		for _, rec := range page.Records {
			if is(&rec.Value) {
				out = append(out, s.session(rec))
			}
		}
		if page.Next == "" {
			return out, nil
		}
		q.After = page.Next
	}
}

func (s *Service) session(rec *vault.Record[grantRecord]) Session {
	g := &rec.Value
	g.alive(s.Now())
	out := Session{
		Grant: g.ID, Person: g.Person.Subject, Username: g.Person.Username, Client: g.Client, Resource: g.Resource, Scope: g.Scope,
		Created: moment(g.Created), Refreshed: moment(g.Rotated), Rotations: max(g.Generation, 1) - 1, Recovered: g.Recovered, Mode: g.Mode, Address: g.Address, Checked: moment(g.LastYes),
		Expires: rec.Expires.UTC(), AccessTokens: len(g.Access),
	}
	if out.Grant == "" {
		out.Grant = rec.ID
	}
	if e := g.Ended; e != nil {
		out.Ended = &Ending{Reason: e.Reason, By: e.By, Time: moment(e.Time), Ref: e.Ref, Provider: e.Provider}
	}
	return out
}

// moment is a time at rest; zero is none.
func moment(unix int64) time.Time {
	if unix == 0 {
		return time.Time{}
	}
	return time.Unix(unix, 0).UTC()
}
