// SPDX-License-Identifier: Apache-2.0

package vaulttest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Fixture is a store on file: a keyring and records, with the master key that opens
// them and the time at which they were alive.
type Fixture struct {
	Issuer  string          `json:"issuer"`
	Master  string          `json:"master"`
	Now     int64           `json:"now"`
	ID      string          `json:"id"` // the natural id of the record
	Records []fixtureRecord `json:"records"`
}

type fixtureRecord struct {
	Kind    store.Kind `json:"kind"`
	ID      string     `json:"id"`
	Version string     `json:"version"`
	Person  string     `json:"person,omitempty"`
	Client  string     `json:"client,omitempty"`
	Expires int64      `json:"expires"`
	Value   []byte     `json:"value"`
}

// goldenTime is when fixtures are made; goldenLife is how long their records live.
var goldenTime = time.Unix(1767323045, 0).UTC()

const goldenLife = time.Hour

// writeGolden is the variable of the environment that makes missing fixtures.
const writeGolden = "MCPOAUTH_WRITE_GOLDEN"

// Golden checks that what was once written is still read: it opens the fixture
// testdata/<kind>.golden.json of the calling package, compares the value in it with
// want, and updates and reads it once more. A fixture that does not exist is made where
// MCPOAUTH_WRITE_GOLDEN is set; one that exists is never rewritten, since it stands for
// the records of people who upgrade.
func Golden[T any](t *testing.T, k vault.Kind[T], id string, want T) {
	t.Helper()
	GoldenNamed(t, string(k.Name), k, id, want)
}

// GoldenNamed is Golden for the fixture testdata/<name>.golden.json: a kind has several
// once it has got new members.
func GoldenNamed[T any](t *testing.T, name string, k vault.Kind[T], id string, want T) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden.json")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if os.Getenv(writeGolden) == "" {
			t.Fatalf("no fixture %s; set %s=1 to make it", path, writeGolden)
		}
		write(t, path, k, id, want)
	}
	f := Load(t, path)
	_, v := f.Vault(t)
	rec, err := vault.Get(t.Context(), v, k, f.ID)
	if err != nil {
		t.Fatalf("reading %s: %v", path, err)
	}
	if !reflect.DeepEqual(rec.Value, want) {
		t.Errorf("%s holds\n%+v\nwant\n%+v", path, rec.Value, want)
	}
	if err := vault.Update(t.Context(), v, k, rec); err != nil {
		t.Fatalf("updating the record of %s: %v", path, err)
	}
	again, err := vault.Get(t.Context(), v, k, f.ID)
	if err != nil || !reflect.DeepEqual(again.Value, want) {
		t.Errorf("%s after an update: %+v, %v", path, again, err)
	}
}

// Load reads a fixture.
func Load(t testing.TB, path string) Fixture {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f Fixture
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return f
}

// Vault returns a store with the records of the fixture and a vault that opens them.
func (f Fixture) Vault(t testing.TB) (*Store, *vault.Vault) {
	t.Helper()
	now := clock.NewFake(time.Unix(f.Now, 0).UTC()).Now
	s := NewStore(now)
	for _, r := range f.Records {
		rec := store.Record{
			Key:     store.Key{Site: seal.SiteOf(f.Issuer).String(), Kind: r.Kind, ID: r.ID},
			Expires: time.Unix(r.Expires, 0).UTC(), Value: r.Value,
		}
		fill(t, rec.Version[:], r.Version)
		fill(t, rec.Person[:], r.Person)
		fill(t, rec.Client[:], r.Client)
		s.Put(rec)
	}
	m, err := seal.ParseMaster(f.Master)
	if err != nil {
		t.Fatal(err)
	}
	c := Config(s, now, m)
	c.Issuer = f.Issuer
	return s, vault.New(c)
}

// fill decodes hex into to; "" leaves it zero.
func fill(t testing.TB, to []byte, text string) {
	t.Helper()
	if text == "" {
		return
	}
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(to) {
		t.Fatalf("%q is not %d bytes in hex", text, len(to))
	}
	copy(to, b)
}

func write[T any](t *testing.T, path string, k vault.Kind[T], id string, value T) {
	t.Helper()
	now := clock.NewFake(goldenTime).Now
	s := NewStore(now)
	v := New(t, s, now)
	_, err := vault.Create(t.Context(), v, k, id, value, vault.Options{
		Expires: goldenTime.Add(goldenLife), Person: "golden-person", Client: "golden-client",
	})
	if err != nil {
		t.Fatal(err)
	}
	Write(t, path, s, goldenTime, id)
}

// Write makes a fixture of everything in s, which is sealed under the master key 00, 01, …
// 1f and alive at now. id is the natural id of the record that the fixture is about.
func Write(t testing.TB, path string, s *Store, now time.Time, id string) {
	t.Helper()
	raw := make([]byte, seal.KeySize)
	for i := range raw {
		raw[i] = byte(i)
	}
	f := Fixture{Issuer: Issuer, Master: base64.StdEncoding.EncodeToString(raw), Now: now.Unix(), ID: id}
	for _, r := range s.Records("") {
		f.Records = append(f.Records, fixtureRecord{
			Kind: r.Kind, ID: r.ID, Version: hex.EncodeToString(r.Version[:]),
			Person: hexOf(r.Person), Client: hexOf(r.Client), Expires: r.Expires.Unix(), Value: r.Value,
		})
	}
	b, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func hexOf(i store.Index) string {
	if i == (store.Index{}) {
		return ""
	}
	return hex.EncodeToString(i[:])
}
