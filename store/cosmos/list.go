// SPDX-License-Identifier: Apache-2.0

package cosmos

import (
	"cmp"
	"context"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// The gateway, which the library speaks to, filters across partitions and neither sorts
// nor cuts off, so queries ask for ranges of ids and the rest is done here. The index of a
// container follows every write at once (indexing mode consistent, which Open checks):
// a query omits no item.
// https://learn.microsoft.com/rest/api/cosmos-db/querying-cosmosdb-resources-using-the-rest-api
const (
	byKind   = "SELECT * FROM c WHERE c.id > @from AND c.id < @to"
	byPerson = byKind + " AND c.person = @person"
	byClient = byKind + " AND c.client = @client"
	byBoth   = byPerson + " AND c.client = @client"
	byExpiry = "SELECT c.id, c.version, c.expires, c._etag FROM c WHERE c.expires <= @before"
)

// List implements store.Store. It returns no expired record.
func (s *Store) List(ctx context.Context, q store.Query) (store.Page, error) {
	if s.closed.Load() {
		return store.Page{}, errClosed
	}
	if err := azure.CheckPlace(q.Site, q.Kind); err != nil {
		return store.Page{}, err
	}
	if q.Limit <= 0 || q.Limit > store.MaxLimit {
		q.Limit = store.MaxLimit
	}
	width := azure.Narrow
	if q.Person != (store.Index{}) {
		width = azure.Wide
	}
	// One more tells whether this page is the last.
	records, err := azure.Window(q.After, width, q.Limit+1, func(from, to string, _ int) ([]store.Record, error) {
		return s.scan(ctx, q, from, to)
	})
	if err != nil {
		return store.Page{}, err
	}
	if len(records) <= q.Limit {
		return store.Page{Records: records}, nil
	}
	return store.Page{Records: records[:q.Limit], Next: records[q.Limit-1].ID}, nil
}

// scan returns the living records between two ids, in order.
func (s *Store) scan(ctx context.Context, q store.Query, from, to string) ([]store.Record, error) {
	prefix, none := itemPrefix(q.Site, q.Kind), store.Index{}
	parameters := []azcosmos.QueryParameter{{Name: "@from", Value: prefix + from}, {Name: "@to", Value: prefix + to}}
	text := byKind
	switch {
	case q.Person != none && q.Client != none:
		text = byBoth
	case q.Person != none:
		text = byPerson
	case q.Client != none:
		text = byClient
	}
	if q.Person != none {
		parameters = append(parameters, azcosmos.QueryParameter{Name: "@person", Value: indexText(q.Person)})
	}
	if q.Client != none {
		parameters = append(parameters, azcosmos.QueryParameter{Name: "@client", Value: indexText(q.Client)})
	}
	var records []store.Record
	err := s.query(ctx, text, parameters, func(page [][]byte) error {
		for _, raw := range page {
			f, err := unmarshal(raw)
			if err != nil {
				return err
			}
			if s.alive(f.Record) {
				records = append(records, f.Record)
			}
		}
		return nil
	})
	slices.SortFunc(records, func(a, b store.Record) int { return cmp.Compare(a.ID, b.ID) })
	return records, err
}

// query passes the answers of a query on, page by page, until the end or an error.
func (s *Store) query(ctx context.Context, text string, parameters []azcosmos.QueryParameter, page func([][]byte) error) error {
	pager := s.container.NewQueryItemsPager(text, azcosmos.NewPartitionKey(), &azcosmos.QueryOptions{QueryParameters: parameters})
	for pager.More() {
		response, err := pager.NextPage(ctx)
		if err != nil {
			return s.failure(err)
		}
		if err := page(response.Items); err != nil {
			return err
		}
	}
	return nil
}
