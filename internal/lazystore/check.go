// SPDX-License-Identifier: Apache-2.0

package lazystore

import (
	"errors"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// errWrongAnswer is unknown: a connection that mixed up its replies knows nothing about
// the key that was asked for (CVE-2025-29923 was one).
var errWrongAnswer = errors.New("the store answered another question")

// checkRecord makes sure that a record is the one that was asked for.
func checkRecord(k store.Key, r store.Record) error {
	if r.Key != k {
		return errWrongAnswer
	}
	return nil
}

// checkPage makes sure that a page is a part of the listing that was asked for.
func checkPage(q store.Query, page store.Page) error {
	none := store.Index{}
	for _, r := range page.Records {
		if r.Site != q.Site || r.Kind != q.Kind || r.ID <= q.After ||
			q.Person != none && r.Person != q.Person ||
			q.Client != none && r.Client != q.Client {
			return errWrongAnswer
		}
	}
	if page.Next != "" && page.Next <= q.After {
		return errWrongAnswer
	}
	return nil
}
