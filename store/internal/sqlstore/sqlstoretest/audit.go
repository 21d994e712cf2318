// SPDX-License-Identifier: Apache-2.0

// Package sqlstoretest holds the SQL stores to what they promise beyond package store's
// contract: the audit trail, and the queries that the manual shows.
package sqlstoretest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

const (
	site   = "0011223344556677"
	person = "11111111-2222-3333-4444-555555555555.aaaaaaaa-0000-4000-8000-000000000001"
)

// noon is when the story of these tests happened.
var noon = time.Date(2030, 1, 31, 12, 0, 0, 0, time.UTC)

func entry(n int, event, who string, at time.Time) store.AuditEntry {
	return store.AuditEntry{
		ID: fmt.Sprintf("%032x", n), Time: at, Event: event, Mode: "mode", Site: site, Person: who, Client: "dcr_1",
		Grant: strings.Repeat("a", 32), Token: "0123456789abcdef", Resource: "https://mcp.example.com/mcp",
		Address: "192.0.2.1", Agent: "claude-code/1.0 'x' \\ \"y\" é", Ref: "ref",
	}
}

// Audit checks the audit trail of an empty store.
func Audit(t *testing.T, s store.Store) {
	t.Helper()
	a := s.(store.Auditor)
	all := []store.AuditEntry{
		entry(1, "code_redeemed", person, noon.Add(-8*24*time.Hour)),
		entry(2, "token_used", person, noon.Add(-2*time.Hour)),
		entry(3, "token_used", "somebody else", noon.Add(-time.Hour)),
		entry(5, "refreshed", person, noon.Add(123*time.Millisecond)),
		entry(4, "refreshed", person, noon.Add(124*time.Millisecond)),
	}
	for range 2 { // the same entries again are the same entries
		must(t, a.Append(t.Context(), all))
	}
	must(t, a.Append(t.Context(), nil))

	find(t, a, store.AuditQuery{Site: site}, all...)
	find(t, a, store.AuditQuery{Site: "ffffffffffffffff"})
	find(t, a, store.AuditQuery{Site: site, Person: person}, all[0], all[1], all[3], all[4])
	find(t, a, store.AuditQuery{Site: site, Person: person, Since: noon.Add(-7 * 24 * time.Hour), Until: noon}, all[1])
	find(t, a, store.AuditQuery{Site: site, Person: person, Limit: 2}, all[0], all[1])
	find(t, a, store.AuditQuery{Site: site, Person: person, Since: all[1].Time, After: all[1].ID}, all[3], all[4])
	find(t, a, store.AuditQuery{Site: site, Client: "dcr_1"}, all...)
	find(t, a, store.AuditQuery{Site: site, Client: "dcr_2"})
	find(t, a, store.AuditQuery{Site: site, Grant: all[0].Grant, Until: all[1].Time}, all[0])
	find(t, a, store.AuditQuery{Site: site, Token: all[0].Token, Since: all[4].Time}, all[4])
	if _, err := a.Find(t.Context(), store.AuditQuery{Site: site, Person: person, Client: "dcr_1"}); err == nil {
		t.Error("a query may name two things")
	}

	prune(t, a, noon.Add(-time.Hour), 1, 1)
	find(t, a, store.AuditQuery{Site: site}, all[1:]...)
	prune(t, a, noon.Add(-time.Hour), 10, 1)
	prune(t, a, noon.Add(-time.Hour), 10, 0)
	prune(t, a, noon.Add(time.Hour), 0, 0)
	find(t, a, store.AuditQuery{Site: site}, all[2:]...)
	hostile(t, a)
}

// hostile checks texts that a stranger may have chosen.
func hostile(t *testing.T, a store.Auditor) {
	t.Helper()
	e := entry(9, "token_used", "p'); DROP TABLE mcp_oauth_audit; --", noon.Add(time.Hour))
	e.Agent = "a\x00b\x1b[31m\xff" + strings.Repeat("é", 5000)
	e.Resource = strings.Repeat("r", 100_000)
	must(t, a.Append(t.Context(), []store.AuditEntry{e}))
	got, err := a.Find(t.Context(), store.AuditQuery{Site: site, Person: e.Person})
	if err != nil || len(got) != 1 || got[0].Person != e.Person {
		t.Fatalf("%v, %v", got, err)
	}
	if agent := got[0].Agent; !strings.HasPrefix(agent, "ab[31mé") || len(agent) > 256 || strings.ContainsAny(agent, "\x00\x1b") {
		t.Errorf("agent %q", agent)
	}
	if len(got[0].Resource) != 2048 {
		t.Errorf("a resource of %d bytes", len(got[0].Resource))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func find(t *testing.T, a store.Auditor, q store.AuditQuery, want ...store.AuditEntry) {
	t.Helper()
	got, err := a.Find(t.Context(), q)
	must(t, err)
	if !slices.Equal(got, want) {
		t.Errorf("%+v\n got %+v\nwant %+v", q, got, want)
	}
}

func prune(t *testing.T, a store.Auditor, before time.Time, limit, want int) {
	t.Helper()
	if n, err := a.Prune(t.Context(), before, limit); err != nil || n != want {
		t.Errorf("%d entries pruned, %v, want %d", n, err, want)
	}
}

// NoAudit checks that a store whose trail is off says so.
func NoAudit(t *testing.T, s store.Store) {
	t.Helper()
	a := s.(store.Auditor)
	_, found := a.Find(t.Context(), store.AuditQuery{Site: site})
	_, pruned := a.Prune(t.Context(), noon, 1)
	for what, err := range map[string]error{"Append": a.Append(t.Context(), nil), "Find": found, "Prune": pruned} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Retention checks that Sweep removes entries that are older than an hour, which must be
// the retention of the store. now is its clock.
func Retention(t *testing.T, s store.Store, now time.Time) {
	t.Helper()
	a := s.(store.Auditor)
	now = now.UTC().Truncate(time.Millisecond)
	old, young := entry(1, "refreshed", person, now.Add(-2*time.Hour)), entry(2, "refreshed", person, now)
	must(t, a.Append(t.Context(), []store.AuditEntry{old, young}))
	if n, err := s.Sweep(t.Context(), now, 10); n != 0 || err != nil {
		t.Errorf("entries of the trail were counted as records: %d, %v", n, err)
	}
	find(t, a, store.AuditQuery{Site: site}, young)
}
