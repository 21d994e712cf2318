// SPDX-License-Identifier: Apache-2.0

package redis_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

const site = "0011223344556677"

// grant is the n-th record of one person and client.
func grant(n int, expires time.Time) store.Record {
	sum := sha256.Sum256(fmt.Append(nil, n))
	r := store.Record{
		Key:    store.Key{Site: site, Kind: "grant", ID: hex.EncodeToString(sum[:])},
		Person: sha256.Sum256([]byte("person")), Client: sha256.Sum256([]byte("client")),
		Expires: expires.Truncate(time.Second), Value: fmt.Appendf(nil, "value %d", n),
	}
	return next(r)
}

// next is another write of a record.
func next(r store.Record) store.Record {
	_, _ = rand.Read(r.Version[:]) // never fails
	return r
}

func wantNil(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

func definite(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) ||
		errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrTooLarge)
}

// wantUnknown checks that an error says nothing about a record.
func wantUnknown(t *testing.T, err error) {
	t.Helper()
	if err == nil || definite(err) {
		t.Errorf("error is %v, want an unknown one", err)
	}
}
