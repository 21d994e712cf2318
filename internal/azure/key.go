// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"fmt"
	"regexp"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// What keys are made of: characters that neither Table Storage nor Cosmos DB forbids
// (those are / \ # ? and control characters), so that nothing has to be escaped, and so
// few of them that the longest key stays below the 255 bytes that Cosmos DB for Table
// allows a row key.
var (
	site = regexp.MustCompile(`^[0-9a-f]{16}$`)
	kind = regexp.MustCompile(`^[0-9a-z]{1,32}$`)
	id   = regexp.MustCompile(`^[0-9a-f]{4,64}$`)
)

// CheckPlace checks the parts of a key that many records share.
func CheckPlace(s string, k store.Kind) error {
	if !site.MatchString(s) || !kind.MatchString(string(k)) {
		return fmt.Errorf("malformed key: site %q, kind %q", s, k)
	}
	return nil
}

// CheckStoreKey checks the key of a record.
func CheckStoreKey(k store.Key) error {
	if !id.MatchString(k.ID) {
		return fmt.Errorf("malformed key: id %q", k.ID)
	}
	return CheckPlace(k.Site, k.Kind)
}
