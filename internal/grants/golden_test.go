// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
)

// What a release has written, every later one reads. The fixtures were made once and are
// never rewritten; a new member gets a new fixture beside them.
func TestStoredRecords(t *testing.T) {
	t.Parallel()
	state := "xyz"
	req := request()
	req.State = &state
	ada := person{
		Subject: "tid.oid", Issuer: "https://login.example/v2.0", Tenant: "tid", ObjectID: "oid", Name: "Ada",
		Username: "ada@example.com", Email: "ada@example.com", Verified: true, Roles: []string{"Reader"},
	}
	up := &sealedToken{Sealed: []byte("sealed"), Wrap: []byte("wrap")}
	const id = "000102030405060708090a0b0c0d0e0f"
	t.Run("login", func(t *testing.T) {
		t.Parallel()
		vaulttest.Golden(t, loginKind, id, Login{
			Request: req, Verifier: "verifier", Nonce: "nonce", Binding: []byte("binding"),
			Stage: stagePending, Purpose: "authorize", Created: 1767323045,
		})
	})
	t.Run("code", func(t *testing.T) {
		t.Parallel()
		vaulttest.Golden(t, codeKind, id, codeRecord{
			Request: req, Hash: []byte("hash"), Person: ada, Provider: up, Grant: id,
			AuthTime: 1767323000, Consumed: 1767323044, Dead: true,
		})
	})
	t.Run("person", func(t *testing.T) {
		t.Parallel()
		vaulttest.Golden(t, personKind, "tid.oid", personRecord{Epoch: 1767323045000})
	})
	t.Run("epoch", func(t *testing.T) {
		t.Parallel()
		vaulttest.Golden(t, epochKind, epochID, epochRecord{
			Number: 1767323045001, All: 1767323044000, Marks: []mark{{Of: markOf(markClient, client), Number: 1767323045001}},
		})
	})
	t.Run("grant", func(t *testing.T) {
		t.Parallel()
		vaulttest.Golden(t, grantKind, id, grantRecord{
			Person: ada, Client: client, Resource: resource, Scope: "mcp offline_access", Created: 1767323045,
			Absolute: 1775099045, AuthTime: 1767323000, Generation: 2, Current: []byte("current"),
			Predecessor: []byte("previous"), Rotated: 1767323044, Successor: []byte("successor"),
			Access:   []accessEntry{{Hash: []byte("access"), Scope: "mcp", Expires: 1767326645}},
			Provider: up, LastYes: 1767323044, Ended: &ended{Reason: "reason", Time: 1767323045, Ref: "ref"},
		})
	})
	t.Run("refreshed grant", func(t *testing.T) {
		t.Parallel()
		vaulttest.GoldenNamed(t, "grant-refreshed", grantKind, id, grantRecord{
			Person: ada, Client: client, Resource: resource, Scope: "mcp offline_access", Created: 1767323045,
			Absolute: 1775099045, Generation: 2, Current: []byte("current"), Predecessor: []byte("previous"),
			Rotated: 1767323044, Replaced: 1767323043, Recovered: 3, Mode: modeRecovered, Address: "192.0.2.0/24", Agent: "client/1.0",
			Access:   []accessEntry{{Hash: []byte("access"), Scope: "mcp", Expires: 1767326645, Wrap: []byte("wrap for access")}},
			Provider: up, PredecessorWrap: []byte("wrap for previous"), LastYes: 1767323044, LeaseUntil: 1767323050123456789,
			Ended: &ended{Reason: "reason", Time: 1767323045, Ref: "ref", By: "refresh"},
		})
	})
	t.Run("verified grant", func(t *testing.T) {
		t.Parallel()
		vaulttest.GoldenNamed(t, "grant-verified", grantKind, id, grantRecord{
			Person: ada, Client: client, Resource: resource, Scope: "mcp", Created: 1767323045, Absolute: 1775099045,
			Generation: 1, Current: []byte("current"), Provider: up, LastYes: 1767323044, Asked: 1767323944,
			Access: []accessEntry{{Hash: []byte("access"), Scope: "mcp", Expires: 1767326645, Wrap: []byte("wrap for access")}},
		})
	})
}
