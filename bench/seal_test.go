// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
)

// sealed is how much a typical record holds.
const sealed = 1 << 10

// BenchmarkSealOpen is the envelope of a record alone, then with the store, the key of
// the record and its JSON around it.
func BenchmarkSealOpen(b *testing.B) {
	b.Run("Seal", benchmarkSeal)
	b.Run("Open", benchmarkOpen)
	b.Run("Create", benchmarkCreate)
	b.Run("Get", benchmarkGet)
	b.Run("Update", benchmarkUpdate)
}

func newKey(b *testing.B) seal.Key {
	b.Helper()
	k, err := seal.NewKey(bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		b.Fatal(err)
	}
	return k
}

func benchmarkSeal(b *testing.B) {
	k, plaintext := newKey(b), make([]byte, sealed)
	b.SetBytes(sealed)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := seal.Seal(rand.Reader, k, seal.ClassRoot, seal.KID{1}, seal.Binding{Kind: "bench"}, 1, plaintext); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkOpen(b *testing.B) {
	k, where := newKey(b), seal.Binding{Kind: "bench"}
	envelope, err := seal.Seal(rand.Reader, k, seal.ClassRoot, seal.KID{1}, where, 1, make([]byte, sealed))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(sealed)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := seal.Open(k, envelope, where); err != nil {
			b.Fatal(err)
		}
	}
}

// note is a record of about the size of a grant.
type note struct {
	Text string `json:"text"`
	N    int    `json:"n"`
}

var notes = vault.Kind[note]{Name: "bench", Schema: 1}

func newVault(b *testing.B) (*vault.Vault, note, vault.Options) {
	b.Helper()
	v := vaulttest.New(b, memory.New(memory.Options{}, store.Env{Now: clock.System}), clock.System)
	value := note{Text: strings.Repeat("x", sealed)}
	return v, value, vault.Options{Expires: clock.System().Add(time.Hour), Person: "somebody", Client: "something"}
}

func benchmarkCreate(b *testing.B) {
	v, value, o := newVault(b)
	b.ReportAllocs()
	for b.Loop() {
		rec, err := vault.Create(b.Context(), v, notes, "a", value, o)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := vault.Delete(b.Context(), v, notes, rec); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func benchmarkGet(b *testing.B) {
	v, value, o := newVault(b)
	if _, err := vault.Create(b.Context(), v, notes, "a", value, o); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := vault.Get(b.Context(), v, notes, "a"); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkUpdate(b *testing.B) {
	v, value, o := newVault(b)
	rec, err := vault.Create(b.Context(), v, notes, "a", value, o)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		rec.Value.N++
		if err := vault.Update(b.Context(), v, notes, rec); err != nil {
			b.Fatal(err)
		}
	}
}
