// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

func TestCreateGetUpdateDelete(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	made := n.create(t, "a", sample{Text: "one"}, time.Hour+500*time.Millisecond)
	if want := start.Add(time.Hour); !made.Expires.Equal(want) || made.ID != "a" {
		t.Errorf("created %q until %v, want %v", made.ID, made.Expires, want)
	}
	got, err := n.get(t, "a")
	if err != nil || got.Value.Text != "one" || got.ID != "a" || !got.Expires.Equal(made.Expires) {
		t.Fatalf("got %+v, %v", got, err)
	}
	got.Value.Text = "two"
	got.Expires = start.Add(2 * time.Hour)
	if err := vault.Update(t.Context(), n.Vault, sampleKind, got); err != nil {
		t.Fatal(err)
	}
	got.Value.Text = "three" // the record carries its new version
	if err := vault.Update(t.Context(), n.Vault, sampleKind, got); err != nil {
		t.Fatal(err)
	}
	if err := vault.Update(t.Context(), n.Vault, sampleKind, made); !errors.Is(err, store.ErrConflict) {
		t.Errorf("update of an old version: %v", err)
	}
	if err := vault.Delete(t.Context(), n.Vault, sampleKind, made); !errors.Is(err, store.ErrConflict) {
		t.Errorf("delete of an old version: %v", err)
	}
	again, err := n.get(t, "a")
	if err != nil || again.Value.Text != "three" || !again.Expires.Equal(start.Add(2*time.Hour)) {
		t.Errorf("got %+v, %v", again, err)
	}
	if err := vault.Delete(t.Context(), n.Vault, sampleKind, again); err != nil {
		t.Error(err)
	}
	if _, err := n.get(t, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after delete: %v", err)
	}
	if err := vault.Update(t.Context(), n.Vault, sampleKind, again); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("update after delete: %v", err)
	}
	n.create(t, "a", sample{}, time.Hour)
	if err := vault.DeleteID(t.Context(), n.Vault, sampleKind, "a"); err != nil {
		t.Error(err)
	}
	if _, err := n.get(t, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after delete by id: %v", err)
	}
}

func TestCreateExists(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.create(t, "a", sample{Text: "one"}, time.Minute)
	_, err := vault.Create(t.Context(), n.Vault, sampleKind, "a", sample{}, vault.Options{Expires: start.Add(time.Hour)})
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("second create: %v", err)
	}
	if got, err := n.get(t, "a"); err != nil || got.Value.Text != "one" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestInnerExpiryDecides(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.create(t, "a", sample{Text: "one"}, time.Minute)
	if rec := n.stored(t); !rec.Expires.Equal(start.Add(time.Minute + 2*time.Minute)) {
		t.Errorf("store expiry %v", rec.Expires)
	}
	n.clock.Advance(time.Minute - time.Second)
	if _, err := n.get(t, "a"); err != nil {
		t.Errorf("a second before the end: %v", err)
	}
	n.clock.Advance(time.Second)
	if _, err := n.get(t, "a"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("at the end: %v", err)
	}
	if page, err := vault.List(t.Context(), n.Vault, sampleKind, vault.Query{}); err != nil || len(page.Records) != 0 {
		t.Errorf("a listing has the dead: %+v, %v", page, err)
	}
}

func TestCreateOverTheDead(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.create(t, "a", sample{Text: "one"}, time.Minute)
	n.clock.Advance(time.Minute)
	if len(n.store.Records("sample")) != 1 {
		t.Fatal("the dead record is gone already")
	}
	// The new one has another person: an update could not change that.
	_, err := vault.Create(t.Context(), n.Vault, sampleKind, "a", sample{Text: "two"},
		vault.Options{Expires: start.Add(time.Hour), Person: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := n.get(t, "a"); err != nil || got.Value.Text != "two" {
		t.Errorf("got %+v, %v", got, err)
	}
	for person, want := range map[string]int{"ann": 0, "bob": 1} {
		page, err := vault.List(t.Context(), n.Vault, sampleKind, vault.Query{Person: person})
		if err != nil || len(page.Records) != want {
			t.Errorf("%s: %d records, %v", person, len(page.Records), err)
		}
	}
}

func TestSec_H17_NothingIsCreatedExpired(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for _, expires := range []time.Time{{}, start.Add(-time.Second), start, start.Add(999 * time.Millisecond)} {
		_, err := vault.Create(t.Context(), n.Vault, sampleKind, "a", sample{}, vault.Options{Expires: expires})
		if err == nil || errors.Is(err, store.ErrExists) {
			t.Errorf("expires %v: %v", expires, err)
		}
	}
	rec := n.create(t, "a", sample{}, time.Hour)
	rec.Expires = time.Time{}
	if err := vault.Update(t.Context(), n.Vault, sampleKind, rec); err == nil {
		t.Error("updated to no expiry")
	}
	if err := vault.Update(t.Context(), n.Vault, sampleKind, &vault.Record[sample]{Expires: start.Add(time.Hour)}); err == nil {
		t.Error("updated a record that was never read")
	}
}

func TestReservedMember(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	o := vault.Options{Expires: start.Add(time.Hour)}
	for _, value := range []any{
		map[string]int{"exp": 1}, map[string]int{"Exp": 1}, []int{1}, "text", nil, func() {},
	} {
		kind := vault.Kind[any]{Name: "any", Schema: 1}
		if _, err := vault.Create(t.Context(), n.Vault, kind, "a", value, o); err == nil {
			t.Errorf("%T %v was stored", value, value)
		}
	}
}

func TestEveryVersionIsNew(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	rec := n.create(t, "a", sample{}, time.Hour)
	seen := map[store.Version]bool{n.stored(t).Version: true}
	for range 20 {
		if err := vault.Update(t.Context(), n.Vault, sampleKind, rec); err != nil {
			t.Fatal(err)
		}
		version := n.stored(t).Version
		if seen[version] || version == (store.Version{}) {
			t.Fatalf("version %x again", version)
		}
		seen[version] = true
	}
}

func TestKeysInTheStore(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.create(t, "a", sample{Text: "plain text"}, time.Hour)
	rec := n.stored(t)
	id := seal.KeyID("sample", "a")
	want := store.Key{Site: seal.SiteOf(vaulttest.Issuer).String(), Kind: "sample", ID: hex.EncodeToString(id[:])}
	if rec.Key != want {
		t.Errorf("key %+v, want %+v", rec.Key, want)
	}
	keys := n.keyring(t)
	if rec.Person != keys.PersonIndex("ann") || rec.Client != keys.ClientIndex("dcr_x") {
		t.Errorf("indexes %x, %x", rec.Person, rec.Client)
	}
	if bytes.Contains(rec.Value, []byte("plain text")) {
		t.Error("the value is not sealed")
	}
	people := vault.Kind[sample]{Name: "person", Schema: 1}
	o := vault.Options{Expires: start.Add(time.Hour)}
	if _, err := vault.Create(t.Context(), n.Vault, people, "ann", sample{}, o); err != nil {
		t.Fatal(err)
	}
	index := keys.PersonIndex("ann")
	if got := n.store.Records("person")[0].ID; got != hex.EncodeToString(index[:]) {
		t.Errorf("the key of a person is %s, not keyed", got)
	}
}

func TestStoreFailuresAreUnknown(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	rec := n.create(t, "a", sample{}, time.Hour)
	down := errors.New("store is down")
	n.store.Fail(down)
	_, getErr := n.get(t, "a")
	_, createErr := vault.Create(t.Context(), n.Vault, sampleKind, "b", sample{}, vault.Options{Expires: start.Add(time.Hour)})
	_, listErr := vault.List(t.Context(), n.Vault, sampleKind, vault.Query{})
	for what, err := range map[string]error{
		"get": getErr, "create": createErr, "list": listErr,
		"update":    vault.Update(t.Context(), n.Vault, sampleKind, rec),
		"delete":    vault.Delete(t.Context(), n.Vault, sampleKind, rec),
		"delete id": vault.DeleteID(t.Context(), n.Vault, sampleKind, "a"),
		"sweep":     n.Sweep(t.Context()),
		"rotate":    n.Rotate(t.Context()),
	} {
		if !errors.Is(err, down) {
			t.Errorf("%s: %v", what, err)
		}
	}
	n.store.Fail(nil)
	if err := vault.Update(t.Context(), n.Vault, sampleKind, rec); err != nil {
		t.Errorf("a failed update spoiled the record: %v", err)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.create(t, "a", sample{}, time.Minute)
	n.create(t, "b", sample{}, time.Hour)
	n.clock.Advance(3*time.Minute + 10*time.Minute - time.Second)
	for _, want := range []int{2, 1} {
		if err := n.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(n.store.Records("sample")); got != want {
			t.Errorf("%d records at %v, want %d", got, n.clock.Now(), want)
		}
		n.clock.Advance(time.Second)
	}
}
