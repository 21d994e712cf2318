// SPDX-License-Identifier: Apache-2.0

package mcpoauth_test

import (
	"regexp"
	"strings"
	"testing"
)

// What docs/guarantees.md promises is held by tests that exist. A name that ends in an
// ellipsis is the beginning of several.
func TestGuaranteesAreTested(t *testing.T) {
	t.Parallel()
	tests, named := testNames(t), 0
	for _, m := range regexp.MustCompile("`(?:[a-z0-9]+\\.)?(Test\\w*)(…?)").FindAllStringSubmatch(readFile(t, "docs/guarantees.md"), -1) {
		named++
		known := tests[m[1]]
		if m[2] != "" {
			for name := range tests {
				known = known || strings.HasPrefix(name, m[1])
			}
		}
		if !known {
			t.Errorf("docs/guarantees.md names %s, which does not exist", m[1]+m[2])
		}
	}
	if named == 0 {
		t.Error("docs/guarantees.md names no test")
	}
}
