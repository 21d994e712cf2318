// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"strconv"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// modelClient is a program with one sign-in at a time, in one or several processes that
// share a file, and with or without somebody who steals its tokens.
type modelClient struct {
	number    int
	processes []*modelProcess
	thief     *modelProcess
	file      *Issued
	session   *modelSession
	logins    int
	had       []*Issued // what it ever held of its session
}

// modelProcess is whoever shows tokens: a process of a client, or a thief.
type modelProcess struct {
	client *modelClient
	thief  bool
	holds  *Issued
}

func newModelClient(number, processes int) *modelClient {
	c := &modelClient{number: number}
	for range processes {
		c.processes = append(c.processes, &modelProcess{client: c})
	}
	c.thief = &modelProcess{client: c, thief: true}
	return c
}

// signIn gives the client a new grant.
func (w *modelWorld) signIn(c *modelClient, n *modelNode) error {
	c.logins++
	subject := "person-" + strconv.Itoa(c.number) + "-" + strconv.Itoa(c.logins)
	in := &provider.Session{Person: provider.Person{Subject: subject}, RefreshToken: w.provider.token(subject)}
	code, err := n.IssueCode(context.Background(), request(), in, time.Minute)
	if err != nil {
		return err
	}
	pair, err := n.Redeem(context.Background(), w.terms, redemption(code.Reveal()))
	if err != nil {
		return err
	}
	rec, err := w.check.record(pair.Grant)
	if err != nil {
		return err
	}
	s := &modelSession{id: pair.Grant, owner: c, subject: subject, state: observe(&rec.Value, 0), pairs: map[string]*Issued{}}
	s.pairs[text(*pair.Refresh)] = pair
	w.check.sessions[s.id] = s
	c.session, c.file, c.had = s, pair, []*Issued{pair}
	for _, p := range c.processes {
		p.holds = pair
	}
	return nil
}

// refresh makes the call in which a process shows a pair's refresh token.
func (w *modelWorld) refresh(do action, p *modelProcess, pair *Issued) *modelCall {
	c := w.call(do, pair)
	c.process = p
	terms := w.terms
	if w.bug.terms != nil {
		terms = w.bug.terms(terms)
	}
	shown := Refreshing{Client: client, Token: text(*pair.Refresh)}
	switch do.kind {
	case doForge: // the MAC of another token
		shown.Token = shown.Token[:len(shown.Token)-8] + "AAAAAAAA"
	case doForeign:
		shown.Client = "dcr_other"
	}
	c.run = func(ctx context.Context) (*Issued, error) {
		if w.bug.answer != nil {
			return w.bug.answer(c, func() (*Issued, error) { return c.node.Refresh(ctx, terms, shown) })
		}
		return c.node.Refresh(ctx, terms, shown)
	}
	return c
}

// call makes a call about the grant of a pair.
func (w *modelWorld) call(do action, pair *Issued) *modelCall {
	w.calls++
	s := w.check.sessions[pair.Grant]
	return &modelCall{
		do: do, number: w.calls, w: w, node: w.nodes[do.node], session: s, late: s.state.ended, caught: s.caught,
		token: *pair.Refresh, resume: make(chan struct{}),
	}
}

// note remembers what may end the session of an honest client, which docs/sessions.md says.
func (w *modelWorld) note(c *modelCall) {
	s := c.session
	unsaved := c.wrote == 0 && (c.cut || c.broken || c.slow)
	if w.provider.strict && c.asked && (c.unasked || unsaved) {
		s.excuse = "the newest token of the provider was lost"
	}
	if c.denied && c.do.provider == providerNo {
		s.excuse = "the provider said no"
	}
}

// settle hands an answer to whoever asked, if it gets there.
func (w *modelWorld) settle(c *modelCall, batch []*modelCall) {
	if c.cut {
		return // all that the client sees is a broken connection
	}
	switch c.do.kind {
	case doRevoke:
		if c.err != nil && !c.broken {
			w.check.failf(c, "could not revoke: %v", c.err)
		}
		return
	case doForge, doForeign:
		if e := oauth.AsError(c.err); !c.broken && !c.slow && (e == nil || e.Code != oauth.InvalidGrant || c.wrote != 0) {
			w.check.failf(c, "a token with a wrong MAC or of another client: %v", c.err)
		}
		return
	}
	switch e := oauth.AsError(c.err); {
	case c.err == nil && c.late:
		w.check.failf(c, promiseRevoked)
	case c.err == nil && c.caught:
		w.check.failf(c, promiseThief)
	case e != nil && e.Code == oauth.InvalidGrant && c.session.stolen:
		c.session.caught = true
	}
	w.tally.count(c)
	w.check.answered(c, batch)
	if c.do.lose {
		return
	}
	if e := oauth.AsError(c.err); e != nil && e.Code == oauth.InvalidGrant {
		w.loggedOut(c)
	} else if c.err == nil {
		c.process.gets(c)
	}
}

// gets is an answer with tokens that arrives.
func (p *modelProcess) gets(c *modelCall) {
	p.holds = c.out
	if !p.thief && c.session == p.client.session {
		p.client.file = c.out
		p.client.had = append(p.client.had, c.out)
	}
	s := c.session
	if !s.stolen || len(p.client.processes) > 1 {
		return
	}
	// Two parties that take turns, each on tokens of its own: the second turn of the first
	// one must not succeed. Within the grace they get the same pair, and begin anew.
	other := p.client.thief
	if p.thief {
		other = p.client.processes[0]
	}
	switch n := len(s.turns); {
	case other.holds != nil && text(*other.holds.Refresh) == text(*p.holds.Refresh):
		s.turns = nil
	case n == 0 || s.turns[n-1] != p:
		s.turns = append(s.turns, p)
	}
	if len(s.turns) >= 3 {
		c.w.check.failf(c, promiseThief)
	}
}

// steal gives the thief a pair that the victim holds or held.
func (w *modelWorld) steal(c *modelClient, pick int) {
	c.thief.holds = c.had[pick%len(c.had)]
	c.session.stolen, c.session.turns = true, nil
}

// loggedOut is an invalid_grant that arrives. A client that is alone with its tokens gets
// none, whatever happened to answers, nodes, store and clocks.
func (w *modelWorld) loggedOut(c *modelCall) {
	p, s := c.process, c.session
	if p.thief || p.holds == nil || s != p.client.session || c.token.Hash() != p.holds.Refresh.Hash() {
		return
	}
	if len(p.client.processes) == 1 && s.excuse == "" && !s.stolen {
		w.check.failf(c, promiseHonest, c.err)
	}
	for _, o := range p.client.processes {
		o.holds = nil
	}
	p.client.session, p.client.file = nil, nil
}

// lapsed tells whether a grant ended by time alone, or its answer was lost for too long;
// without a grace any lost answer is.
func (w *modelWorld) lapsed(c *modelCall) bool {
	s, now, lifetimes := c.seen, c.node.known().Unix(), w.terms.Policy.Lifetimes
	idle := now-max(s.changed, s.created) >= seconds(lifetimes.RefreshIdle)
	lost := lifetimes.RefreshGrace == 0 || now-s.replaced > seconds(modelLostResponse)
	return idle || now >= s.expires || c.token.Hash() == s.prev && lost
}

// look shows an access token.
func (w *modelWorld) look(do action, pair *Issued) {
	c := w.call(do, pair)
	_, err := c.node.Access(context.Background(), text(pair.Access))
	w.check.looked(c, pair, err)
}

// revoke makes the call that ends a grant.
func (w *modelWorld) revoke(do action, pair *Issued) *modelCall {
	c := w.call(do, pair)
	c.session.excuse = "it was revoked"
	c.run = func(ctx context.Context) (*Issued, error) { return nil, c.node.End(ctx, c.session.id, "revoked") }
	return c
}

// wait lets time pass.
func (w *modelWorld) wait(d time.Duration) { <-time.After(d) }
