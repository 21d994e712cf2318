// SPDX-License-Identifier: Apache-2.0

package mcpoauth_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// An export that leaves a kind out loses it.
func TestSourceKindsAreListed(t *testing.T) {
	t.Parallel()
	declared := regexp.MustCompile(`vault\.Kind\[\w+\]\{Name: "(\w+)"`)
	found := []store.Kind{"keyring"}
	for _, f := range goFiles(t) {
		if !f.production() {
			continue
		}
		for _, m := range declared.FindAllStringSubmatch(f.text, -1) {
			found = append(found, store.Kind(m[1]))
		}
	}
	listed := vault.Kinds()
	if listed[0] != "keyring" {
		t.Error("the keyring does not come first")
	}
	slices.Sort(found)
	slices.Sort(listed)
	if !slices.Equal(found, listed) {
		t.Errorf("the kinds %v are declared, and vault.Kinds has %v", found, listed)
	}
}
