// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
)

func benchVault(b *testing.B) (*vault.Vault, sample, vault.Options) {
	b.Helper()
	now := clock.NewFake(start).Now
	v := vaulttest.New(b, vaulttest.NewStore(now), now)
	value := sample{Text: "some text of a record", Count: 3, Inner: &inner{Name: "in"}, Labels: map[string]string{"a": "b"}}
	b.ReportAllocs()
	return v, value, vault.Options{Expires: start.Add(time.Hour), Person: "ann", Client: "dcr_x"}
}

func BenchmarkCreate(b *testing.B) {
	v, value, o := benchVault(b)
	for i := 0; b.Loop(); i++ {
		if _, err := vault.Create(b.Context(), v, sampleKind, strconv.Itoa(i), value, o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	v, value, o := benchVault(b)
	if _, err := vault.Create(b.Context(), v, sampleKind, "a", value, o); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := vault.Get(b.Context(), v, sampleKind, "a"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	v, value, o := benchVault(b)
	rec, err := vault.Create(b.Context(), v, sampleKind, "a", value, o)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := vault.Update(b.Context(), v, sampleKind, rec); err != nil {
			b.Fatal(err)
		}
	}
}
