// SPDX-License-Identifier: Apache-2.0

package sqlserver

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var updateGoldens = flag.Bool("update-goldens", false, "write what comes out into the golden file")

// Every statement stands beside the one for PostgreSQL, which is run: a change of one
// shows in the golden file, and with it whether the other was forgotten.
func TestStatements(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	for _, file := range []string{"statements.sql", "migrations/0001_records.sql", "migrations/0002_audit.sql"} {
		postgres, sqlserver := split(t, "postgres", file), split(t, "sqlserver", file)
		all := maps.Clone(postgres)
		maps.Copy(all, sqlserver)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			fmt.Fprintf(&out, "=== %s\n--- PostgreSQL\n%s\n--- SQL Server\n%s\n\n", name, postgres[name], sqlserver[name])
		}
	}
	golden := filepath.Join("testdata", "statements.golden")
	if *updateGoldens {
		if err := os.WriteFile(golden, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != out.String() {
		t.Errorf("the statements are not those of %s, %v: compare both dialects, then run go test -update-goldens", golden, err)
	}
}

// split returns the statements of a file by name, without comments.
func split(t *testing.T, backend, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", backend, file))
	if err != nil {
		t.Fatal(err)
	}
	out, name := make(map[string]string), file
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "-- name: "); ok {
			name = strings.TrimSpace(n)
		} else if !strings.HasPrefix(line, "--") {
			out[name] += line
		}
	}
	for name, statement := range out {
		out[name] = strings.TrimSpace(statement)
		if out[name] == "" {
			delete(out, name)
		}
	}
	return out
}
