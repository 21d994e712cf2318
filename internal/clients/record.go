// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// Kind is the record of a dynamically registered client; its natural id is the client id.
var Kind = vault.Kind[record]{Name: "client", Schema: 1}

// record is what is kept of a registration. For a public client every member but Created
// and Used is a function of the client id, so whoever arrives at the id means the same
// client.
type record struct {
	// Redirects are sorted; loopback ones bear no port.
	Redirects []string `json:"r"`
	Name      string   `json:"n,omitempty"`
	URI       string   `json:"u,omitempty"`
	// Grants are sorted.
	Grants []string `json:"g"`
	// Scope is a scope parameter with sorted scopes.
	Scope string `json:"s,omitempty"`
	// Method is absent for public clients.
	Method AuthMethod `json:"m,omitempty"`
	// SecretHash is the SHA-256 of the secret of a confidential client. The secret has
	// 256 random bits, so a plain hash tells nothing about it.
	SecretHash []byte `json:"h,omitempty"`
	// Created is in seconds since the epoch.
	Created int64 `json:"c"`
	// Used tells that a code was exchanged at least once.
	Used bool `json:"x,omitempty"`
}

func (r record) confidential() bool { return r.Method != "" }

// client gives the record the shape that it has under the current rules: a redirect URI
// that they no longer allow is gone.
func (r record) client(id string, rules Rules, rec *vault.Record[record]) *Client {
	c := &Client{
		ID: id, Name: r.Name, URI: r.URI, GrantTypes: slices.Clone(r.Grants), Scope: r.Scope,
		AuthMethod: AuthNone, Created: time.Unix(r.Created, 0).UTC(), Expires: rec.Expires,
		record: rec,
	}
	for _, uri := range r.Redirects {
		if rules.acceptsRedirect(uri) {
			c.RedirectURIs = append(c.RedirectURIs, uri)
		}
	}
	if r.confidential() {
		c.AuthMethod = r.Method
		// A hash of another length can match nothing.
		if len(r.SecretHash) == sha256.Size {
			c.secretHashes = [][sha256.Size]byte{[sha256.Size]byte(r.SecretHash)}
		}
	}
	return c
}
