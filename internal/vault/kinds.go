// SPDX-License-Identifier: Apache-2.0

package vault

import "github.com/mcpoauth/caddy-mcp-oauth/store"

// KeyringKind is the kind of the keyring: a change of it is a change of keys.
const KeyringKind store.Kind = keyringKind

// Kinds are all kinds of records that a site can have, the keyring first: whoever copies
// or counts a whole store goes by it. A new kind is added here, too.
func Kinds() []store.Kind {
	return []store.Kind{keyringKind, "client", "login", "code", "grant", "person", "epoch"}
}
