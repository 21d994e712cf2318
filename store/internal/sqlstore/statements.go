// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"fmt"
	"regexp"
	"strings"
)

// DefaultPrefix begins the names in the .sql files, and in a database whose configuration
// has no table_prefix.
const DefaultPrefix = "mcp_oauth_"

// The pattern leaves room for the longest suffix in the 63 bytes that PostgreSQL keeps.
var prefixPattern = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

// CheckPrefix checks a table_prefix. It becomes part of SQL, so nothing that would need
// quoting may be in it.
func CheckPrefix(prefix string) error {
	if !prefixPattern.MatchString(prefix) {
		return fmt.Errorf("%q cannot begin the names of tables: write 1 to 40 of a-z, 0-9 and _, beginning with no digit, such as %s", prefix, DefaultPrefix)
	}
	return nil
}

// nameMark begins the line that names the statement below it.
const nameMark = "-- name: "

// statements splits the text of a statements.sql by name. Comments are left out, and the
// names of tables get the prefix.
func statements(text, prefix string) map[string]string {
	out := make(map[string]string)
	for _, part := range strings.Split("\n"+text, "\n"+nameMark)[1:] {
		name, body, _ := strings.Cut(part, "\n")
		var lines []string
		for line := range strings.Lines(body) {
			if !strings.HasPrefix(line, "--") {
				lines = append(lines, line)
			}
		}
		statement := strings.TrimSuffix(strings.TrimSpace(strings.Join(lines, "")), ";")
		out[strings.TrimSpace(name)] = prefixed(statement, prefix)
	}
	return out
}

// Statement is one statement of a statements.sql, for what a backend asks on its own.
func Statement(text, name string) string { return statements(text, DefaultPrefix)[name] }

func prefixed(text, prefix string) string { return strings.ReplaceAll(text, DefaultPrefix, prefix) }
