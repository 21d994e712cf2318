// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
)

// modelWorld is two nodes over one memory store. It lives in a synctest bubble, so time
// passes only when nothing else can happen.
type modelWorld struct {
	bug      seededBug
	dice     *rand.Rand // chooses who goes next
	random   io.Reader  // makes tokens
	base     store.Store
	provider *modelProvider
	nodes    [2]*modelNode
	check    *modelCheck
	terms    Terms
	clients  []*modelClient
	tally    *modelTally

	calls    int
	arrived  chan *modelCall
	finished chan *modelCall
}

// modelNode is one life of a node: what it has in memory dies with it.
type modelNode struct {
	*Service
	w      *modelWorld
	number int
	offset time.Duration // of its clock
	dead   bool
}

// modelCall is one request to a node.
type modelCall struct {
	do      action
	number  int
	w       *modelWorld
	node    *modelNode
	process *modelProcess
	session *modelSession
	token   tokens.Token
	run     func(context.Context) (*Issued, error)
	// Before it began, its grant had ended or had caught a thief.
	late, caught bool
	resume       chan struct{}

	gates, stores int
	// What happened to it.
	broken  bool // the store failed
	unasked bool // the provider could not be asked
	asked   bool // the provider said yes and made a new token
	denied  bool // the provider said no
	slow    bool // time passed meanwhile
	// What the rule says since its last read, and what it wrote.
	seen  *modelState
	ruled ruling
	wrote ruling
	after *modelState
	mode  string // of its event

	out *Issued
	err error
	cut bool // its node died before the answer
}

type modelCallKey struct{}

func callOf(ctx context.Context) *modelCall {
	call, _ := ctx.Value(modelCallKey{}).(*modelCall)
	return call
}

// gate is where a call waits for its turn and where its node may die.
func (c *modelCall) gate() {
	c.gates++
	c.w.arrived <- c
	<-c.resume
	if c.gates == c.do.dieAt {
		c.node.dead = true
	}
}

// fails tells whether the call of the store that begins now fails.
func (c *modelCall) fails() bool {
	c.stores++
	if c.stores != c.do.failAt {
		return false
	}
	c.broken = true
	return true
}

// keyring is sealed once: nodes find it in their store.
var modelKeyring = sync.OnceValues(func() (store.Record, error) {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	now := func() time.Time { return start }
	s := memory.New(memory.Options{}, store.Env{Now: now})
	v := modelVault(s, now, rand.NewChaCha8([32]byte{}))
	if _, err := v.Keyring(context.Background()); err != nil {
		return store.Record{}, err
	}
	all, err := s.List(context.Background(), store.Query{Site: v.Site().String(), Kind: "keyring", Limit: 1})
	if err != nil {
		return store.Record{}, err
	}
	return all.Records[0], nil
})

func modelVault(s store.Store, now clock.Func, random io.Reader) *vault.Vault {
	master, err := seal.NewMaster(make([]byte, 32))
	if err != nil {
		panic(err)
	}
	return vault.New(vault.Config{
		Store: s, Issuer: issuer, Masters: []seal.Master{master}, Now: now, Rand: random,
		NewSigningKey: func(now time.Time) (seal.SigningKey, error) { return tokens.NewSigningKey(random, tokens.ES256, now) },
	})
}

func newModelWorld(p modelPlan, bug seededBug) (*modelWorld, error) {
	w := &modelWorld{
		bug: bug, tally: p.tally, dice: rand.New(rand.NewPCG(p.seed, 1)), random: newModelRandom(p.seed),
		arrived: make(chan *modelCall, 64), finished: make(chan *modelCall, 64),
	}
	w.base = memory.New(memory.Options{}, store.Env{Now: clock.System, Log: slog.New(slog.DiscardHandler)})
	keyring, err := modelKeyring()
	if err != nil {
		return nil, err
	}
	if err := w.base.Create(context.Background(), keyring); err != nil {
		return nil, err
	}
	w.provider = &modelProvider{strict: p.strict, newest: map[string]int{}}
	w.check = newModelCheck(w)
	w.terms = Terms{Policy: testPolicy(), Provider: w.provider}
	if p.graceless {
		w.terms.Policy.Lifetimes.RefreshGrace = 0
	}
	for i := range w.nodes {
		w.start(i, 0)
	}
	return w, nil
}

// start begins a new life of a node, with nothing but the store.
func (w *modelWorld) start(i int, offset time.Duration) {
	n := &modelNode{w: w, number: i, offset: offset}
	under := w.base
	if w.bug.store != nil {
		under = w.bug.store(w, under)
	}
	v := modelVault(&modelStore{Store: under, w: w, node: n}, n.now, w.random)
	n.Service = New(Config{
		Vault: v, Site: seal.SiteOf(issuer), Now: n.now, Rand: w.random, Events: n, Changed: func(tokens.ID) {},
	})
	w.nodes[i] = n
}

func (n *modelNode) now() time.Time {
	now := n.known()
	if n.w.bug.clock != nil {
		now = now.Add(n.w.bug.clock(n))
	}
	return now
}

// known is the time that the model believes the node to have.
func (n *modelNode) known() time.Time { return clock.System().Add(n.offset) }

// Emit implements event.Sink.
func (n *modelNode) Emit(ctx context.Context, e event.Event) {
	if call := callOf(ctx); call != nil && e.Kind == event.Refreshed {
		call.mode = e.Mode
	}
}

// together runs calls that begin at the same time: at each gate the dice decide who goes
// on. Answers arrive in the order in which the calls end.
func (w *modelWorld) together(calls []*modelCall) {
	for _, c := range calls {
		go func() {
			c.gate()
			c.out, c.err = c.run(context.WithValue(context.Background(), modelCallKey{}, c))
			w.finished <- c
		}()
	}
	var waiting, ended []*modelCall
	for {
		synctest.Wait()
		for len(w.arrived) > 0 {
			waiting = append(waiting, <-w.arrived)
		}
		for len(w.finished) > 0 {
			c := <-w.finished
			c.cut = c.node.dead
			ended = append(ended, c)
		}
		if len(ended) == len(calls) {
			break
		}
		if len(waiting) == 0 || w.dice.IntN(64) == 0 {
			w.pass(calls)
			continue
		}
		slices.SortFunc(waiting, func(a, b *modelCall) int { return a.number - b.number })
		i := w.dice.IntN(len(waiting))
		next := waiting[i]
		waiting = slices.Delete(waiting, i, i+1)
		next.resume <- struct{}{}
	}
	for _, c := range ended {
		w.note(c)
	}
	for _, c := range ended {
		w.settle(c, ended)
	}
	for i, n := range w.nodes {
		if n.dead {
			w.start(i, n.offset)
		}
	}
}

// pass lets a little time pass while requests are under way.
func (w *modelWorld) pass(calls []*modelCall) {
	for _, c := range calls {
		c.slow = true
	}
	<-time.After(time.Duration(w.dice.IntN(2000)) * time.Millisecond)
}

// modelRandom is a reader of reproducible randomness for goroutines that take turns.
type modelRandom struct {
	mu   sync.Mutex
	from *rand.ChaCha8
}

func newModelRandom(seed uint64) *modelRandom {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return &modelRandom{from: rand.NewChaCha8(key)}
}

func (r *modelRandom) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.from.Read(p)
}
