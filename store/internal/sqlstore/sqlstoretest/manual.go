// SPDX-License-Identifier: Apache-2.0

package sqlstoretest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Manual runs the queries that a section of docs/stores.md shows against a store with a
// story in it. run executes one query and returns the rows as text.
func Manual(t *testing.T, s store.Store, section string, now time.Time, run func(t *testing.T, query string) string) {
	t.Helper()
	now = now.UTC().Truncate(time.Millisecond)
	used := entry(1, "token_used", person, now.Add(-24*time.Hour))
	old := entry(2, "code_replayed", person, now.Add(-30*24*time.Hour))
	ended := entry(3, "grant_ended", person, now.Add(-2*time.Hour))
	other := entry(4, "token_used", "somebody else", now.Add(-time.Hour))
	must(t, s.(store.Auditor).Append(t.Context(), []store.AuditEntry{used, old, ended, other}))
	queries := Queries(t, section)
	if len(queries) != 3 {
		t.Fatalf("the section %s has %d queries of the audit trail, want 3", section, len(queries))
	}
	for i, want := range [][]string{{"token_used", "grant_ended"}, {"dcr_1", "somebody else"}, {"grant_ended"}} {
		got := run(t, strings.ReplaceAll(queries[i], "<sub>", person))
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("query %d has no %q:\n%s\n%s", i+1, w, queries[i], got)
			}
		}
		if strings.Contains(got, "code_replayed") {
			t.Errorf("query %d goes back more than a week:\n%s", i+1, got)
		}
		if i == 0 && strings.Contains(got, "somebody else") {
			t.Errorf("query 1 shows somebody else:\n%s", got)
		}
	}
}

// Queries are the blocks of SQL below the heading of a section of docs/stores.md that ask
// the audit trail. The test runs in a directory below store.
func Queries(t testing.TB, section string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "stores.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "\n## "+section+"\n")
	if !ok {
		t.Fatalf("docs/stores.md has no section %s", section)
	}
	body, _, _ := strings.Cut(rest, "\n## ")
	var queries []string
	for _, block := range strings.Split(body, "```sql\n")[1:] {
		query, _, _ := strings.Cut(block, "```")
		if strings.Contains(query, "SELECT") && strings.Contains(query, "FROM mcp_oauth_audit") {
			queries = append(queries, query)
		}
	}
	return queries
}
