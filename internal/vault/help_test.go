// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// sample is a value like those of other packages.
type sample struct {
	Text   string            `json:"t"`
	Count  int               `json:"c,omitempty"`
	Inner  *inner            `json:"i,omitempty"`
	Labels map[string]string `json:"l,omitempty"`
}

type inner struct {
	Name string `json:"n"`
}

var sampleKind = vault.Kind[sample]{Name: "sample", Schema: 1}

// node is a store with a clock and one vault.
type node struct {
	store  *vaulttest.Store
	clock  *clock.Fake
	events *vaulttest.Events
	*vault.Vault
}

func newNode(t *testing.T, masters ...seal.Master) node {
	t.Helper()
	c := clock.NewFake(start)
	return sharing(t, node{store: vaulttest.NewStore(c.Now), clock: c}, masters...)
}

// sharing returns another node on the same store and clock.
func sharing(t *testing.T, with node, masters ...seal.Master) node {
	t.Helper()
	if len(masters) == 0 {
		masters = []seal.Master{vaulttest.Master(t, 0)}
	}
	with.events = &vaulttest.Events{}
	config := vaulttest.Config(with.store, with.clock.Now, masters...)
	config.Events = with.events
	with.Vault = vault.New(config)
	return with
}

func (n node) keyring(t *testing.T) *seal.Keyring {
	t.Helper()
	keys, err := n.Keyring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func (n node) rotate(t *testing.T) {
	t.Helper()
	if err := n.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (n node) activeRoot(t *testing.T) seal.Root {
	t.Helper()
	root, ok := n.keyring(t).ActiveRoot()
	if !ok {
		t.Fatal("no active root")
	}
	return root
}

func (n node) create(t *testing.T, id string, value sample, life time.Duration) *vault.Record[sample] {
	t.Helper()
	rec, err := vault.Create(t.Context(), n.Vault, sampleKind, id, value, vault.Options{
		Expires: n.clock.Now().Add(life), Person: "ann", Client: "dcr_x",
	})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func (n node) get(t *testing.T, id string) (*vault.Record[sample], error) {
	t.Helper()
	return vault.Get(t.Context(), n.Vault, sampleKind, id)
}

// master tells under which master key the stored keyring is sealed.
func (n node) master(t *testing.T) seal.KID {
	t.Helper()
	records := n.store.Records("keyring")
	if len(records) != 1 {
		t.Fatalf("%d keyrings", len(records))
	}
	_, kid, err := seal.Header(records[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	return kid
}

// stored returns the only record of kind sample.
func (n node) stored(t *testing.T) store.Record {
	t.Helper()
	records := n.store.Records("sample")
	if len(records) != 1 {
		t.Fatalf("%d samples", len(records))
	}
	return records[0]
}
