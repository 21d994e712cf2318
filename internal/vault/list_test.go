// SPDX-License-Identifier: Apache-2.0

package vault_test

import (
	"context"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault/vaulttest"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

func TestList(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		n.create(t, id, sample{Text: id}, time.Hour)
	}
	_, err := vault.Create(t.Context(), n.Vault, sampleKind, "f", sample{}, vault.Options{Expires: start.Add(time.Hour), Person: "bob", Client: "dcr_y"})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	q := vault.Query{Person: "ann", Client: "dcr_x", Limit: 2}
	for {
		page, err := vault.List(t.Context(), n.Vault, sampleKind, q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Records {
			seen = append(seen, r.Value.Text)
			r.Value.Count = 1
			if err := vault.Update(t.Context(), n.Vault, sampleKind, r); err != nil {
				t.Errorf("a listed record does not update: %v", err)
			}
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	if len(seen) != 5 {
		t.Errorf("listed %v", seen)
	}
	if page, err := vault.List(t.Context(), n.Vault, sampleKind, vault.Query{Client: "dcr_y"}); err != nil || len(page.Records) != 1 {
		t.Errorf("by client: %+v, %v", page, err)
	}
	if page, err := vault.List(t.Context(), n.Vault, sampleKind, vault.Query{Person: "nobody"}); err != nil || len(page.Records) != 0 {
		t.Errorf("nobody has %+v, %v", page, err)
	}
}

// staleStore lists records that the query does not match any more.
type staleStore struct{ *vaulttest.Store }

func (s staleStore) List(ctx context.Context, q store.Query) (store.Page, error) {
	q.Person, q.Client = store.Index{}, store.Index{}
	return s.Store.List(ctx, q)
}

func TestListDropsStaleEntries(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.create(t, "a", sample{Text: "one"}, time.Hour)
	v := vaulttest.New(t, staleStore{n.store}, n.clock.Now)
	for _, c := range []struct {
		query vault.Query
		want  int
	}{
		{vault.Query{}, 1},
		{vault.Query{Person: "ann", Client: "dcr_x"}, 1},
		{vault.Query{Person: "bob"}, 0},
		{vault.Query{Client: "dcr_y"}, 0},
	} {
		if page, err := vault.List(t.Context(), v, sampleKind, c.query); err != nil || len(page.Records) != c.want {
			t.Errorf("%+v: %d records, %v", c.query, len(page.Records), err)
		}
	}
}
