// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"bytes"
	"context"
	"fmt"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// What the rule promises, as the fault of a run in which it does not hold.
const (
	promiseOne     = "%s has more than one live token: %v"
	promiseHonest  = "an honest client was logged out: %v"
	promiseThief   = "victim and thief are both active and nobody noticed"
	promiseSame    = "the same pair was answered differently"
	promiseRevoked = "answered with tokens after the end of the grant"
)

// modelSession is a grant beside what the model knows of it.
type modelSession struct {
	id      tokens.ID
	owner   *modelClient
	subject string
	state   modelState
	pairs   map[string]*Issued // all that were answered, by refresh token
	// taken is when some call last wrote to the record without a change of the rule's
	// state: it holds the lease, or did when its node died.
	taken int64
	// Why an honest client may lose it; empty until something happens.
	excuse string
	stolen bool
	// caught is set once somebody's token was refused after a theft: nobody may go on.
	caught bool
	// Who refreshed it with what effect, the last of them at the end; the same party twice
	// in a row is there once.
	turns []*modelProcess
}

// modelCheck compares what the nodes do with what the rule says. It sees each read and
// write of a grant and each answer.
type modelCheck struct {
	w        *modelWorld
	vault    *vault.Vault
	sessions map[tokens.ID]*modelSession
	fault    string // the first that was found
}

func newModelCheck(w *modelWorld) *modelCheck {
	return &modelCheck{w: w, vault: modelVault(w.base, clock.System, w.random), sessions: map[tokens.ID]*modelSession{}}
}

func (k *modelCheck) failf(c *modelCall, format string, args ...any) {
	if k.fault != "" || k.w.bug.alone && format != k.w.bug.breaks {
		return
	}
	k.fault = fmt.Sprintf(format, args...)
	if c != nil {
		k.fault = fmt.Sprintf("call %d (%s): %s", c.number, c.do, k.fault)
	}
}

// record reads a grant past all nodes.
func (k *modelCheck) record(id tokens.ID) (*vault.Record[grantRecord], error) {
	return vault.Get(context.Background(), k.vault, grantKind, id.String())
}

// observe turns a record into a state of the rule.
func observe(g *grantRecord, number int) modelState {
	s := modelState{
		number: number, gen: g.Generation, changed: g.Rotated, replaced: g.Rotated, created: g.Created, expires: g.Absolute,
		yes: g.LastYes, ended: g.Ended != nil,
	}
	copy(s.current[:], g.Current)
	copy(s.prev[:], g.Predecessor)
	if n := len(g.Access); n > 0 {
		copy(s.access[:], g.Access[n-1].Hash)
	}
	return s
}

// read notes that a call has just read its grant: the rule is asked with that state.
func (k *modelCheck) read(c *modelCall) {
	state := c.session.state
	c.seen = &state
	c.ruled = state.rule(c.token.Hash(), c.token.Gen, c.node.known(), k.w.terms.Policy.Lifetimes)
	if k.w.lapsed(c) {
		c.session.excuse = "it lapsed"
	}
}

// wrote checks that a write is one that the rule allows to this call, and takes it over.
func (k *modelCheck) wrote(c *modelCall) {
	rec, err := k.record(c.session.id)
	if err != nil {
		k.failf(c, "its write cannot be read: %v", err)
		return
	}
	old := &c.session.state
	now := observe(&rec.Value, old.number+1)
	switch shown := c.token.Hash(); {
	case c.seen == nil || c.seen.number != old.number:
		k.failf(c, "wrote over a change that it has not seen")
	case now.ended && !old.ended:
		k.ended(c)
	case now.ended:
		k.failf(c, "wrote to a grant that has ended")
	case now.current == old.current && now.prev == old.prev && now.gen == old.gen:
		c.session.taken, c.session.state.yes = clock.System().Unix(), now.yes
		return
	case now.prev == shown && old.current == shown:
		k.changed(c, ruledRotated, now.gen == old.gen+1 && c.justNow(now.changed))
	case now.prev == shown && old.prev == shown && now.current != old.current:
		now.replaced = old.replaced
		k.changed(c, ruledRecovered, now.gen == old.gen && c.justNow(now.changed))
	default:
		k.failf(c, "made a state that follows from no case")
	}
	c.session.state, c.after = now, &now
}

// justNow tells whether a time is that of the call's node.
func (c *modelCall) justNow(unix int64) bool {
	age := c.node.known().Unix() - unix
	return age == 0 || c.slow && age > 0 && age < seconds(deadline)
}

// changed is called for a write that made a new pair.
func (k *modelCheck) changed(c *modelCall, r ruling, well bool) {
	c.wrote = r
	switch {
	case c.ruled != r:
		k.failf(c, "did case %s where the rule says %s", r, c.ruled)
	case !well:
		k.failf(c, "case %s left a wrong generation or time", r)
	}
}

// ended is called for a write that ended the grant.
func (k *modelCheck) ended(c *modelCall) {
	c.wrote = ruledReused
	switch {
	case c.do.kind == doRevoke, c.ruled == ruledReused:
	case c.denied && (c.ruled == ruledRotated || c.ruled == ruledRecovered):
	default:
		k.failf(c, "ended the grant where the rule says %s", c.ruled)
	}
}

// answered compares an answer with the rule.
func (k *modelCheck) answered(c *modelCall, batch []*modelCall) {
	switch e := oauth.AsError(c.err); {
	case c.err == nil && c.seen == nil:
		k.shared(c, batch)
	case c.err == nil:
		k.success(c)
	case e != nil && e.Code == oauth.InvalidGrant:
		k.refusal(c, batch)
	default:
		k.unknown(c, batch)
	}
}

func (k *modelCheck) success(c *modelCall) {
	pair, s := c.out, c.seen
	if c.ruled == ruledRotated || c.ruled == ruledRecovered {
		if c.wrote != c.ruled {
			k.failf(c, "answered with tokens that it did not store; the rule says %s", c.ruled)
			return
		}
		s = c.after
	} else if c.ruled != ruledGraced {
		k.failf(c, "answered with tokens where the rule says %s", c.ruled)
		return
	}
	if pair.Refresh.Hash() != s.current || pair.Access.Hash() != s.access {
		k.failf(c, "case %s answered with another pair than the current one", c.ruled)
	}
	if (c.mode == "graced") != (c.ruled == ruledGraced) || (c.mode == "recovered") != (c.ruled == ruledRecovered) {
		k.failf(c, "case %s was reported as %q", c.ruled, c.mode)
	}
	if first := c.session.pairs[text(*pair.Refresh)]; first != nil && !samePair(first, pair) {
		k.failf(c, promiseSame)
	}
	c.session.pairs[text(*pair.Refresh)] = pair
}

func samePair(a, b *Issued) bool {
	return text(a.Access) == text(b.Access) && a.Expires.Unix() == b.Expires.Unix() && a.Scopes.String() == b.Scopes.String()
}

// refusal checks an invalid_grant. One that ended the grant must have done so: a token
// that should have revoked and did not would be answered the next time.
func (k *modelCheck) refusal(c *modelCall, batch []*modelCall) {
	switch {
	case c.seen == nil:
		k.shared(c, batch)
	case c.ruled == ruledRefused:
	case c.ruled == ruledReused && c.wrote == ruledReused:
	case c.denied && c.wrote == ruledReused:
	default:
		k.failf(c, "refused where the rule says %s", c.ruled)
	}
}

// unknown checks that there was a reason for having no answer.
func (k *modelCheck) unknown(c *modelCall, batch []*modelCall) {
	now := c.node.known().Unix()
	switch {
	case c.broken, c.slow:
	case c.unasked && c.seen != nil && !c.seen.bridges(now, k.w.terms.Policy.Lifetimes):
	case c.session.taken != 0 && clock.System().Unix()-c.session.taken <= modelLease:
	case c.seen == nil && k.follows(c, batch):
	default:
		k.failf(c, "no answer without a reason: %v", c.err)
	}
}

// modelLease is how long a node that died may keep others from asking the provider.
const modelLease = 90

// shared checks the answer of a call that waited for another one on its node.
func (k *modelCheck) shared(c *modelCall, batch []*modelCall) {
	if !k.follows(c, batch) {
		k.failf(c, "answered without a look at the grant")
	}
}

func (k *modelCheck) follows(c *modelCall, batch []*modelCall) bool {
	for _, b := range batch {
		if b == c || b.seen == nil && !b.broken || b.node != c.node || b.token.Hash() != c.token.Hash() {
			continue
		}
		if c.err != nil && c.err == b.err || c.out != nil && c.out == b.out {
			return true
		}
	}
	return false
}

// looked checks the answer about an access token. Only the pair that is current is sure
// to be there: what happens to older ones is no part of the rule.
func (k *modelCheck) looked(c *modelCall, access *Issued, err error) {
	s, hash := &c.session.state, access.Access.Hash()
	live := c.node.known().Before(access.Expires)
	switch {
	case err == nil && s.ended:
		k.failf(c, "an access token works after the end of its grant")
	case err == nil && !live:
		k.failf(c, "an access token works after its end")
	case err != nil && !s.ended && live && bytes.Equal(hash[:], s.access[:]):
		k.failf(c, "the newest access token does not work: %v", err)
	}
}
