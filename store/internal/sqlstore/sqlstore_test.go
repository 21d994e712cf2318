// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"database/sql/driver"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// used are the statements that every dialect must have.
var used = []string{
	"get", "create", "update", "delete", "delete_any", "version", "list", "list_person", "list_client", "list_both", "sweep",
	"audit_append", "audit_find", "audit_prune", "clock", "installed", "schema",
}

func readStatements(t *testing.T, backend string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", backend, "statements.sql"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEveryDialectHasEveryStatement(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"postgres", "sqlserver", "sqlite"} {
		all := statements(readStatements(t, backend), "x_")
		for _, name := range used {
			if all[name] == "" {
				t.Errorf("%s has no statement %s", backend, name)
			}
		}
		for name, text := range all {
			if strings.Contains(text, DefaultPrefix) || strings.HasPrefix(text, "--") || strings.HasSuffix(text, ";") {
				t.Errorf("%s: %s is\n%s", backend, name, text)
			}
			if !slices.Contains([]string{"migration_lock", "clock", "inspect", "changes_last", "notify"}, name) && !strings.Contains(text, "x_") {
				t.Errorf("%s: %s has no table with the prefix", backend, name)
			}
		}
	}
}

var parameter = regexp.MustCompile(`[$?]\d+|@p\d+`)

// The dialects take the same parameters, so that one implementation serves them.
func TestDialectsTakeTheSameParameters(t *testing.T) {
	t.Parallel()
	want := statements(readStatements(t, "postgres"), DefaultPrefix)
	for _, backend := range []string{"sqlserver", "sqlite"} {
		got := statements(readStatements(t, backend), DefaultPrefix)
		for _, name := range used {
			if g, w := parameters(got[name]), parameters(want[name]); !slices.Equal(g, w) {
				t.Errorf("%s: %s takes %v, want %v", backend, name, g, w)
			}
		}
	}
}

// parameters are the numbers of the parameters of a statement, each once.
func parameters(statement string) []string {
	var numbers []string
	for _, p := range parameter.FindAllString(statement, -1) {
		numbers = append(numbers, strings.TrimLeft(p, "$?@p"))
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

func TestSec_N06_Prefix(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]bool{
		"mcp_oauth_": true, "a": true, "_1": true, strings.Repeat("a", 40): true,
		"": false, "1a": false, "A": false, "a.b": false, "a b": false, `a"`: false, "a;drop table x": false, "a\n": false,
		strings.Repeat("a", 41): false,
	} {
		if err := CheckPrefix(prefix); (err == nil) != want {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}

// An id that is no hash would not come back as it was written.
func TestSec_N10_IDs(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("0af9", 16)
	if raw, err := rawID(good); err != nil || len(raw) != 32 {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
	for _, id := range []string{"", good[:63], good[:62], good + "00", strings.ToUpper(good), good[:63] + "g", good[:63] + " "} {
		if _, err := rawID(id); err == nil {
			t.Errorf("%q was taken for a hash", id)
		}
	}
}

// Whole seconds decide exactly as the contract does: alive while now < Expires.
func TestSecondsKeepTheBorder(t *testing.T) {
	t.Parallel()
	expires := time.Unix(1_900_000_000, 0)
	for _, now := range []time.Time{
		expires.Add(-time.Second), expires.Add(-time.Nanosecond), expires, expires.Add(time.Nanosecond), time.Unix(-1, 5), time.Unix(-2, 0),
	} {
		if alive := seconds(expires) > seconds(now); alive != now.Before(expires) {
			t.Errorf("at %v alive is %v", now, alive)
		}
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"1h": time.Hour, "90d": 90 * day, "36h30m": 36*time.Hour + 30*time.Minute, "3650d": maxRetention,
		"": 0, "d": 0, "59m": 0, "3651d": 0, "-90d": 0, "1.5d": 0, "90": 0, "9999999999999d": 0,
	} {
		if got, err := ParseRetention(text); got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	if got := Explain(driver.ErrBadConn, Fault{}); got != driver.ErrBadConn {
		t.Errorf("an error without a remedy became %v", got)
	}
	if got := Explain(driver.ErrBadConn, Fault{Remedy: "do this"}).Error(); got != "driver: bad connection: do this" {
		t.Errorf("%q", got)
	}
}
