// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"encoding/hex"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/tokens"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
)

// modelProbes is in how many runs one ends with a probe, which costs as much as the rest.
const modelProbes = 8

// probe shows every token that a grant ever answered with, each to a copy of the store:
// at most one may be rotated, and beside it at most one, its predecessor, may be answered.
func (k *modelCheck) probe() {
	for _, s := range slices.SortedFunc(maps.Values(k.sessions), func(a, b *modelSession) int { return strings.Compare(a.subject, b.subject) }) {
		modes := map[string]int{}
		for _, text := range slices.Sorted(maps.Keys(s.pairs)) {
			modes[k.ask(s, text)]++
		}
		live, before := modes[modeRotated]+modes[modeUnchecked]+modes[modeOutage], modes["graced"]+modes["recovered"]
		if live > 1 || before > 1 || s.state.ended && live+before > 0 {
			k.failf(nil, promiseOne, s.subject, modes)
		}
	}
}

// ask tells how a token is answered, without an effect; "" is a refusal.
func (k *modelCheck) ask(s *modelSession, token string) string {
	ctx := context.Background()
	id := RecordID(s.id)
	grant, err := k.w.base.Get(ctx, store.Key{Site: seal.SiteOf(issuer).String(), Kind: grantKind.Name, ID: hex.EncodeToString(id[:])})
	if err != nil {
		return ""
	}
	keyring, err := modelKeyring()
	if err != nil {
		k.failf(nil, "%v", err)
	}
	spare := memory.New(memory.Options{}, store.Env{Now: clock.System, Log: slog.New(slog.DiscardHandler)})
	for _, rec := range []store.Record{grant, keyring} {
		if err := spare.Create(ctx, rec); err != nil {
			k.failf(nil, "%v", err)
		}
	}
	seen := &recorder{}
	n := New(Config{
		Vault: modelVault(spare, clock.System, k.w.random), Site: seal.SiteOf(issuer), Now: clock.System, Rand: k.w.random,
		Events: seen, Changed: func(tokens.ID) {},
	})
	yes := newFakeProvider()
	yes.person.Subject = s.subject
	if _, err := n.Refresh(ctx, Terms{Policy: k.w.terms.Policy, Provider: yes}, Refreshing{Client: client, Token: token}); err != nil {
		return ""
	}
	for _, e := range seen.seen {
		if e.Kind == event.Refreshed {
			return e.Mode
		}
	}
	return "unreported"
}
