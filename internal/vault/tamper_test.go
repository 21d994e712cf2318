// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

func TestSec_N08_TamperedRecord(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(n node, r *store.Record){
		"value":         func(_ node, r *store.Record) { r.Value[len(r.Value)-1] ^= 1 },
		"schema":        func(_ node, r *store.Record) { r.Value[20] ^= 1 },
		"class":         func(_ node, r *store.Record) { r.Value[4] = 0 },
		"magic":         func(_ node, r *store.Record) { r.Value[0] = 'X' },
		"cut":           func(_ node, r *store.Record) { r.Value = r.Value[:30] },
		"empty":         func(_ node, r *store.Record) { r.Value = nil },
		"version":       func(_ node, r *store.Record) { r.Version[0] ^= 1 },
		"person":        func(_ node, r *store.Record) { r.Person[0] ^= 1 },
		"client":        func(_ node, r *store.Record) { r.Client = store.Index{} },
		"other's value": func(n node, r *store.Record) { r.Value = n.store.Records("other")[0].Value },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.create(t, "a", sample{Text: "one"}, time.Hour)
			_, err := vault.Create(t.Context(), n.Vault, vault.Kind[sample]{Name: "other", Schema: 1}, "a", sample{},
				vault.Options{Expires: start.Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			rec := n.stored(t)
			change(n, &rec)
			n.store.Put(rec)
			_, err = n.get(t, "a")
			if !errors.Is(err, vault.ErrTampered) || definite(err) {
				t.Errorf("get: %v", err)
			}
			if modes := n.events.Modes(event.RecordTampered); !slices.Equal(modes, []string{"sample"}) {
				t.Errorf("events %v", modes)
			}
			_, err = vault.Create(t.Context(), n.Vault, sampleKind, "a", sample{}, vault.Options{Expires: start.Add(time.Hour)})
			if err == nil || definite(err) {
				t.Errorf("create over it: %v", err)
			}
		})
	}
}

// definite tells whether err is a definite answer of a store.
func definite(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrConflict)
}

func TestSec_N03_WrongReply(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.create(t, "a", sample{Text: "ann's"}, time.Hour)
	rec := n.stored(t)
	n.create(t, "b", sample{Text: "bob's"}, time.Hour)
	// The store answers with a's record to whoever asks for b.
	for _, other := range n.store.Records("sample") {
		if other.Key != rec.Key {
			swapped := rec
			swapped.Key = other.Key
			n.store.Put(swapped)
		}
	}
	if got, err := n.get(t, "b"); !errors.Is(err, vault.ErrTampered) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestSec_J24_SitesDoNotMix(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.create(t, "a", sample{}, time.Hour)
	foreign := n.store.Records("keyring")[0]
	config := vaulttest.Config(n.store, n.clock.Now, vaulttest.Master(t, 0))
	config.Issuer = "https://other.example.com/oauth"
	other := vault.New(config)
	if _, err := vault.Get(t.Context(), other, sampleKind, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the other site has it: %v", err)
	}
	// A keyring that is copied to another site does not open there.
	foreign.Site = other.Site().String()
	n.store.Put(foreign)
	if _, err := vault.New(config).Keyring(t.Context()); !errors.Is(err, vault.ErrTampered) {
		t.Errorf("foreign keyring: %v", err)
	}
}

func TestOneBrokenRecordDoesNotHideOthers(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for _, id := range []string{"a", "b", "c"} {
		n.create(t, id, sample{Text: id}, time.Hour)
	}
	rec := n.store.Records("sample")[1]
	rec.Value[30] ^= 1
	n.store.Put(rec)
	page, err := vault.List(t.Context(), n.Vault, sampleKind, vault.Query{Person: "ann"})
	if err != nil || len(page.Records) != 2 || page.Broken != 1 {
		t.Errorf("%d records, %d broken, %v", len(page.Records), page.Broken, err)
	}
}

func TestSec_N08_TamperedKeyring(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.keyring(t)
	for what, change := range map[string]func(*store.Record){
		"value":   func(r *store.Record) { r.Value[40] ^= 1 },
		"class":   func(r *store.Record) { r.Value[4] = 1 },
		"version": func(r *store.Record) { r.Version[3] ^= 1 },
		"person":  func(r *store.Record) { r.Person[0] = 1 },
	} {
		rec := n.store.Records("keyring")[0]
		change(&rec)
		other := newNode(t)
		other.store.Put(rec)
		_, err := other.Keyring(t.Context())
		if what == "person" {
			// The binding of a keyring has no person, whatever the store says.
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		if !errors.Is(err, vault.ErrTampered) || definite(err) {
			t.Errorf("%s: %v", what, err)
		}
		if modes := other.events.Modes(event.RecordTampered); !slices.Equal(modes, []string{"keyring"}) {
			t.Errorf("%s: events %v", what, modes)
		}
	}
}
