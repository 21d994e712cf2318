// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"strings"
	"testing"
)

func TestPlacesAreCutShort(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"203.0.113.77":                     "203.0.113.0/24",
		"::ffff:203.0.113.77":              "203.0.113.0/24",
		"2001:db8:1:2:3:4:5:6":             "2001:db8:1::/48",
		"fe80::1%eth0":                     "fe80::/48",
		"":                                 "",
		"unix":                             "",
		"203.0.113.77, 198.51.100.1":       "",
		"203.0.113.77\r\nX-Forged: header": "",
	} {
		if got := network(in); got != want {
			t.Errorf("network(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"claude-code/2.1.0 (external, cli)": "claude-code/2.1.0",
		"Cursor":                            "Cursor",
		"":                                  "",
		"a\r\nb":                            "a",
		"é/1":                               "",
		strings.Repeat("x", 100):            strings.Repeat("x", maxSoftware),
	} {
		if got := software(in); got != want {
			t.Errorf("software(%q) = %q, want %q", in, got, want)
		}
	}
}
