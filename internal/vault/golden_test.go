// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
)

// The fixture was written by a separate program in another language: a keyring of two
// roots and two signing keys, sealed under the master key 00, 01, … 1f, and a sample
// sealed under the previous root. Both have a member that this software does not know.
const keyringFixture = "testdata/keyring.golden.json"

func TestGoldenKeyring(t *testing.T) {
	t.Parallel()
	f := vaulttest.Load(t, keyringFixture)
	_, v := f.Vault(t)
	keys, err := v.Keyring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	active, _ := keys.ActiveRoot()
	previous, _ := keys.PreviousRoot()
	if active.KID.String() != "de41c1" || active.Secret.Bytes()[0] != 0x20 || previous.Secret.Bytes()[0] != 0x70 {
		t.Errorf("roots %v, %v", active, previous)
	}
	now := time.Unix(f.Now, 0).UTC()
	if !active.Created.Equal(now.Add(-day)) || !previous.Replaced.Equal(now.Add(-day)) || !keys.Resealed.Equal(now.Add(-day)) {
		t.Errorf("created %v, replaced %v, resealed %v", active.Created, previous.Replaced, keys.Resealed)
	}
	index := keys.PersonIndex("tenant.object")
	if hex.EncodeToString(index[:]) != "591d895fe8e630984c8f38157d5d5c8668b95313abf522ec08cb9a89c5a917dd" {
		t.Errorf("person index %x", index)
	}
	signing, _ := keys.ActiveSigning()
	if signing.KID != "signing-1" || signing.Alg != "RS256" || string(signing.PKCS8()) != "private key one" ||
		!signing.NotAfter.Equal(now.Add(80*day)) || keys.Signing[1].State != seal.SigningRetired {
		t.Errorf("signing keys %v", keys.Signing)
	}
}

func TestGoldenRecord(t *testing.T) {
	t.Parallel()
	f := vaulttest.Load(t, keyringFixture)
	_, v := f.Vault(t)
	rec, err := vault.Get(t.Context(), v, sampleKind, f.ID)
	if err != nil || rec.Value.Text != "hello" || rec.Expires.Unix() != f.Now+600 {
		t.Fatalf("got %+v, %v", rec, err)
	}
	page, err := vault.List(t.Context(), v, sampleKind, vault.Query{Person: "tenant.object", Client: "dcr_x"})
	if err != nil || len(page.Records) != 1 {
		t.Errorf("by index: %+v, %v", page, err)
	}
}

// The keyring is rewritten by a node that does not know all of it.
func TestUnknownMembersOfTheKeyringSurvive(t *testing.T) {
	t.Parallel()
	f := vaulttest.Load(t, keyringFixture)
	s, _ := f.Vault(t)
	old, err := seal.ParseMaster(f.Master)
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Unix(f.Now, 0).Add(2 * time.Hour) }
	fresh := vaulttest.Master(t, 100)
	if err := vault.New(vaulttest.Config(s, now, fresh, old)).Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	rec := s.Records("keyring")[0]
	site := seal.SiteOf(f.Issuer)
	_, plaintext, err := seal.Open(fresh.KeyringKey(site), rec.Value, seal.Binding{
		Site: site, Kind: "keyring", ID: seal.KeyID("keyring", "keyring"), Version: rec.Version,
	})
	if err != nil {
		t.Fatal(err)
	}
	var members struct {
		Later struct {
			Kept bool `json:"kept"`
		} `json:"later"`
		Signing []struct{} `json:"signing"`
	}
	if err := json.Unmarshal(plaintext, &members); err != nil {
		t.Fatal(err)
	}
	// The retired key went, the unknown member stayed.
	if len(members.Signing) != 1 || !members.Later.Kept {
		t.Errorf("stored %s", plaintext)
	}
}

// How a package proves that it still reads its own records; see vaulttest.Golden.
func TestGoldenSample(t *testing.T) {
	t.Parallel()
	vaulttest.Golden(t, sampleKind, "one", sample{
		Text: "hello", Count: 3, Inner: &inner{Name: "in"}, Labels: map[string]string{"a": "b"},
	})
}
