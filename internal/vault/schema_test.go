// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// later is sample as newer software might know it.
type later struct {
	Text   string            `json:"t"`
	Count  int               `json:"c,omitempty"`
	Inner  *laterInner       `json:"i,omitempty"`
	Labels map[string]string `json:"l,omitempty"`
	New    *laterInner       `json:"new,omitempty"`
	Zero   int               `json:"zero"`
}

type laterInner struct {
	Name string   `json:"n"`
	Deep []string `json:"d,omitempty"`
}

func TestUnknownMembersSurviveUpdate(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	newer := vault.Kind[later]{Name: "sample", Schema: 1}
	_, err := vault.Create(t.Context(), n.Vault, newer, "a", later{
		Text: "one", Count: 3, Inner: &laterInner{Name: "in", Deep: []string{"kept"}},
		Labels: map[string]string{"old": "1"}, New: &laterInner{Name: "new"},
	}, vault.Options{Expires: start.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	older, err := n.get(t, "a")
	if err != nil {
		t.Fatal(err)
	}
	older.Value.Text, older.Value.Count, older.Value.Inner.Name = "two", 0, "changed"
	older.Value.Labels = map[string]string{"fresh": "2"}
	for range 2 { // the second update starts from what the first one left in the record
		if err := vault.Update(t.Context(), n.Vault, sampleKind, older); err != nil {
			t.Fatal(err)
		}
	}
	got, err := vault.Get(t.Context(), n.Vault, newer, "a")
	if err != nil {
		t.Fatal(err)
	}
	want := later{
		Text: "two", Inner: &laterInner{Name: "changed", Deep: []string{"kept"}},
		Labels: map[string]string{"fresh": "2"}, New: &laterInner{Name: "new"},
	}
	if !reflect.DeepEqual(got.Value, want) {
		t.Errorf("got %+v\nwant %+v", got.Value, want)
	}
	older.Value.Inner = nil
	if err := vault.Update(t.Context(), n.Vault, sampleKind, older); err != nil {
		t.Fatal(err)
	}
	if got, err = vault.Get(t.Context(), n.Vault, newer, "a"); err != nil || got.Value.Inner != nil {
		t.Errorf("a member that was removed came back: %+v, %v", got.Value.Inner, err)
	}
}

func TestNewerSchemaIsUnknown(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	newer := vault.Kind[sample]{Name: "sample", Schema: 2}
	o := vault.Options{Expires: start.Add(time.Hour)}
	if _, err := vault.Create(t.Context(), n.Vault, newer, "a", sample{}, o); err != nil {
		t.Fatal(err)
	}
	_, err := n.get(t, "a")
	if !errors.Is(err, vault.ErrNewer) || errors.Is(err, store.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if _, err := vault.List(t.Context(), n.Vault, sampleKind, vault.Query{}); !errors.Is(err, vault.ErrNewer) {
		t.Errorf("list: %v", err)
	}
	n.create(t, "b", sample{Text: "old"}, time.Hour)
	if got, err := vault.Get(t.Context(), n.Vault, newer, "b"); err != nil || got.Value.Text != "old" {
		t.Errorf("newer software reads older: %+v, %v", got, err)
	}
}

func TestValueOfAnotherFormatIsUnknown(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.create(t, "a", sample{Text: "a secret text"}, time.Hour)
	_, err := vault.Get(t.Context(), n.Vault, vault.Kind[struct {
		Text int `json:"t"`
	}]{Name: "sample", Schema: 1}, "a")
	if err == nil || errors.Is(err, store.ErrNotFound) || strings.Contains(err.Error(), "a secret text") {
		t.Errorf("got %v", err)
	}
}
