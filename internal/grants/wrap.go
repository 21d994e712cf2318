// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
)

// errNoWrap says that a token is none of those for which the data key of the provider's
// token is wrapped.
var errNoWrap = errors.New("the provider's token is not kept for this token")

// bound is what the wrapped keys of a grant depend on beside the token.
func (s *Service) bound(g *grantRecord) tokens.Bound {
	return tokens.Bound{Site: s.Site, Client: g.Client, Resource: g.Resource}
}

// wrapFor returns the data key as it was wrapped for holder, nil where it was not.
func (g *grantRecord) wrapFor(holder tokens.Token) []byte {
	hash := holder.Hash()
	if holder.Type == tokens.Access {
		if a := g.find(hash); a != nil {
			return a.Wrap
		}
		return nil
	}
	switch {
	case same(hash, g.Current) && g.Provider != nil:
		return g.Provider.Wrap
	case same(hash, g.Predecessor):
		return g.PredecessorWrap
	}
	return nil
}

// dataKey returns the data key under which the provider's token of g is sealed, for one of
// the client's tokens: the current refresh token, the predecessor while it may recover, or
// a live access token where checks follow use. Anything else is errNoWrap.
func (s *Service) dataKey(g *grantRecord, holder tokens.Token) (seal.Key, error) {
	wrap := g.wrapFor(holder)
	if len(wrap) == 0 || g.Provider == nil {
		return seal.Key{}, errNoWrap
	}
	return holder.UnwrapKey(s.bound(g), wrap)
}

// openProvider opens the provider's token of g with its data key.
func (s *Service) openProvider(g *grantRecord, id tokens.ID, dek seal.Key) (secret.String, error) {
	if g.Provider == nil {
		return secret.String{}, errNoWrap
	}
	return tokens.OpenProviderToken(dek, s.Site, id, g.Provider.Sealed)
}

// resealProvider puts a new token of the provider in the place of the one that g has, under
// the same data key: whoever could open the old one opens the new one.
func (s *Service) resealProvider(g *grantRecord, id tokens.ID, dek seal.Key, t secret.String) (err error) {
	g.Provider.Sealed, err = tokens.SealProviderToken(s.Rand, dek, s.Site, id, t)
	return err
}

// nextDataKey returns the data key for what a refresh stores: a new one each time, so that
// who has an old token and a copy of the store learns nothing of later. Where checks follow
// use it stays: access tokens that are still good and open streams hold it.
func (s *Service) nextDataKey(g *grantRecord, x *exchange) (seal.Key, error) {
	if x.terms.byAccess() && len(g.wrapFor(x.token)) > 0 {
		return s.dataKey(g, x.token)
	}
	return tokens.NewDataKey(s.Rand)
}

// protect seals what the new pair and its predecessor can open: the provider's token, and
// the pair itself for the predecessor. out is the new pair of g.
func (s *Service) protect(g *grantRecord, x *exchange, dek seal.Key, out *Issued) (err error) {
	g.Successor, g.PredecessorWrap = nil, nil
	strict := x.terms.Policy.Lifetimes.RefreshGrace <= 0
	if !strict {
		if g.Successor, err = s.sealSuccessor(x.token, g.Generation, out); err != nil {
			return err
		}
	}
	if err := s.keep(g, x.terms, dek, x.verdict.token, out); err != nil || g.Provider == nil || strict {
		return err
	}
	g.PredecessorWrap, err = x.token.WrapKey(s.Rand, s.bound(g), dek)
	return err
}

// keep stores the provider's token for the refresh token of out and, where checks follow
// use, for its access token. Without a token of the provider nothing is kept.
func (s *Service) keep(g *grantRecord, terms Terms, dek seal.Key, t secret.String, out *Issued) (err error) {
	g.Provider = nil
	if t.IsZero() || terms.Policy.Verify.Never || out.Refresh == nil && !terms.byAccess() {
		return nil
	}
	g.Provider = &sealedToken{}
	if err := s.resealProvider(g, out.Grant, dek, t); err != nil {
		return err
	}
	if out.Refresh != nil {
		if g.Provider.Wrap, err = out.Refresh.WrapKey(s.Rand, s.bound(g), dek); err != nil {
			return err
		}
	}
	if terms.byAccess() {
		return s.wrapForAccess(g, dek, out.Access)
	}
	for i := range g.Access {
		g.Access[i].Wrap = nil
	}
	return nil
}

// wrapForAccess lets a live access token of g open the provider's token.
func (s *Service) wrapForAccess(g *grantRecord, dek seal.Key, access tokens.Token) error {
	entry := g.find(access.Hash())
	if entry == nil {
		return errNoWrap
	}
	var err error
	entry.Wrap, err = access.WrapKey(s.Rand, s.bound(g), dek)
	return err
}
