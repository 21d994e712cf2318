// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
)

// verifyPatience is how long a request waits for the provider. Whoever waits for the
// request waits for that and for a look-up.
const verifyPatience = 4 * time.Second

var (
	// errUnverified is an unknown outcome: the provider cannot be asked, and its last yes is
	// too old to go by.
	errUnverified = errors.New("the provider cannot be asked whether the account is still in order")
	errSuperseded = errInvalidToken.WithCause(errors.New("the provider cannot be asked by this token, but by the newer one"))
)

// Verify judges what an access token stands for where the provider is asked by use
// (verify_account every). While the last yes is younger than twice the interval, the
// provider is asked beside the request, else before it passes. The Access that it returns
// is the one to go by and has Until. A definite no is invalid_token; any other error is
// unknown.
func (s *Service) Verify(ctx context.Context, terms Terms, a *Access, text string) (*Access, error) {
	if terms.Policy.Verify.Every == 0 || a.history.yes.IsZero() {
		return a, nil
	}
	for waited := false; ; waited = true {
		d := paceOf(terms.Policy).due(a.history, s.Now())
		if !d.ask || waited {
			return a.judged(d)
		}
		dek, _, err := s.Key(text, a.Holder)
		if err != nil {
			// It was issued before the provider was asked by use. Its successor can be checked.
			return a.unchecked(d)
		}
		answer := s.check(ctx, terms, a.Grant, dek)
		if d.patient {
			return a.judged(d)
		}
		if err := s.await(ctx, answer); err != nil {
			return nil, err
		}
		if a, err = s.Access(ctx, text); err != nil {
			return nil, err
		}
	}
}

// judged is what the last yes is good for.
func (a *Access) judged(d due) (*Access, error) {
	if !d.pass && !d.patient {
		return nil, errUnverified
	}
	a.Until = d.until
	return a, nil
}

// unchecked is what the last yes is good for with a token that nobody can be asked by.
func (a *Access) unchecked(d due) (*Access, error) {
	switch {
	case d.patient:
	case d.busy:
		return nil, errUnverified
	default:
		return nil, errSuperseded
	}
	a.Until = d.until
	return a, nil
}

// await waits for a check as long as a request can. Whatever came of it, the grant says
// what to do next, unless nobody can ask with this key.
func (s *Service) await(ctx context.Context, answer <-chan singleflight.Result) error {
	patience := time.NewTimer(verifyPatience)
	defer patience.Stop()
	select {
	case r := <-answer:
		if errors.Is(r.Err, errStale) {
			return errSuperseded
		}
		return nil
	case <-patience.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// holderEnd ends the parts of a Holder; neither a client id nor a URL has it.
const holderEnd = "\x00"

// holder is what opens the data key of g together with the access token of entry: the
// wrapped key and what it is bound to. Without the token it is of no use.
func (g *grantRecord) holder(entry *accessEntry) string {
	if g.Provider == nil || len(entry.Wrap) == 0 {
		return ""
	}
	return g.Client + holderEnd + g.Resource + holderEnd + string(entry.Wrap)
}

// Key opens the data key of a grant with one of its access tokens and the Holder of its
// Access. Of two keys of one grant that with the greater gen is newer.
func (s *Service) Key(text, holder string) (dek seal.Key, gen uint32, err error) {
	client, rest, ok := strings.Cut(holder, holderEnd)
	resource, wrap, ok2 := strings.Cut(rest, holderEnd)
	t, parsed := tokens.Parse(tokens.Access, text)
	if !ok || !ok2 || !parsed {
		return seal.Key{}, 0, errNoWrap
	}
	dek, err = t.UnwrapKey(tokens.Bound{Site: s.Site, Client: client, Resource: resource}, []byte(wrap))
	return dek, t.Gen, err
}
