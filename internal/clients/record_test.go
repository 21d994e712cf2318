// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// TestRecordGolden holds the stored form of schema 1: what was written on the first day
// must be read for ever, and the members keep their names.
func TestRecordGolden(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("mcpo_cs_golden"))
	want := []record{
		{
			Redirects: []string{"cursor://anysphere.cursor-mcp/oauth/callback", "http://localhost/callback"}, Name: "Cursor", URI: "https://cursor.example/",
			Grants: []string{GrantCode, GrantRefresh}, Scope: "mcp offline_access", Created: 1795435200, Used: true,
		},
		{
			Redirects: []string{"https://a.example/cb"}, Grants: []string{GrantCode}, Method: AuthBasic, SecretHash: sum[:], Created: 1795435200,
		},
	}
	golden, err := os.ReadFile("testdata/record.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var got []record
	if err := json.Unmarshal(golden, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v\nwant %+v", got, err, want)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, golden); err != nil {
		t.Fatal(err)
	}
	if written := toJSON(t, want); written != compact.String() {
		t.Errorf("wrote %s\nwant %s", written, compact.String())
	}
	if Kind.Name != "client" || Kind.Schema != 1 {
		t.Errorf("kind %+v", Kind)
	}
}

func TestStoredSecretIsAHash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	resp := w.register(t, confidentialBody)
	rec, err := vault.Get(t.Context(), w.vault, Kind, resp.ClientID)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(resp.ClientSecret.Reveal()))
	if !bytes.Equal(rec.Value.SecretHash, sum[:]) || bytes.Contains([]byte(toJSON(t, rec.Value)), []byte(resp.ClientSecret.Reveal())) {
		t.Errorf("stored %s", toJSON(t, rec.Value))
	}
}

// TestBrokenHashMatchesNothing: a confidential record without a usable hash stays
// confidential and lets nobody in.
func TestBrokenHashMatchesNothing(t *testing.T) {
	t.Parallel()
	for _, hash := range [][]byte{nil, {1}, make([]byte, 33)} {
		c := record{Method: AuthPost, SecretHash: hash}.client("dcr_x", Rules{}, &vault.Record[record]{Expires: time.Unix(1, 0)})
		for _, secrets := range [][]string{nil, {"x"}} {
			wantNo(t, "broken hash", c.authenticate(secrets), oauth.InvalidClient, 401)
		}
	}
}

func TestStaticClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	with := Rules{Static: []Static{
		{ID: "", Name: "nobody"},
		{ID: "app", Name: "App", RedirectURIs: []string{"https://app.example/cb", "http://127.0.0.1:9/cb"}, Secrets: []secret.String{secret.New("s")}},
	}}
	c, err := w.Find(t.Context(), with, "app")
	if err != nil || !c.Static || c.Name != "App" || !c.Confidential() || !c.AllowsGrant(GrantCode) || !c.AllowsGrant(GrantRefresh) || c.AllowsGrant("password") {
		t.Fatalf("%+v, %v", c, err)
	}
	for uri, want := range map[string]bool{
		"https://app.example/cb": true, "http://127.0.0.1:12345/cb": true, "https://app.example/cb/": false, "http://localhost:9/cb": false, "": false,
	} {
		if c.Redirects(uri) != want {
			t.Errorf("Redirects(%q) = %v", uri, !want)
		}
	}
	if bad := (&Client{RedirectURIs: []string{"javascript:alert(1)"}}); bad.Redirects("javascript:alert(1)") {
		t.Error("a dangerous URI that got into a record is used")
	}
	if unset := (Static{Secrets: []secret.String{secret.New("")}}).client(); !unset.Confidential() || unset.hasSecret([]string{""}) {
		t.Error("an unset secret is accepted")
	}
	_, err = w.Find(t.Context(), with, "")
	wantNo(t, "the empty id", err, oauth.InvalidClient, 401)
	_, err = w.Find(t.Context(), with, "App")
	wantNo(t, "another case", err, oauth.InvalidClient, 401)
}
