// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// key is a store.Key as parameters.
func (s *Store) key(k store.Key) ([]any, error) {
	id, err := rawID(k.ID)
	if err != nil {
		return nil, err
	}
	return []any{s.config.Text(k.Site), s.config.Text(string(k.Kind)), id}, nil
}

// rawID is the 32 bytes that an id stands for. Their order is that of the ids.
func rawID(id string) ([]byte, error) {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != 32 || hex.EncodeToString(raw) != id {
		return nil, fmt.Errorf("%q is not the id of a record: it must be a SHA-256 in lower-case hex", id)
	}
	return raw, nil
}

// nullable is an index as a parameter: the zero one is NULL.
func nullable(i store.Index) []byte {
	if i == (store.Index{}) {
		return nil
	}
	return i[:]
}

// bytes is a value as a parameter, never NULL.
func bytes(b []byte) []byte { return append([]byte{}, b...) }

// seconds is a time as it is stored. Rounding down keeps the border: now < Expires holds
// for whole seconds exactly where it holds for these.
func seconds(t time.Time) int64 { return t.Unix() }

func (s *Store) now() int64 { return seconds(s.env.Now()) }

// fields scans what a record has beside its key.
type fields struct {
	version, person, client, value []byte
	expires                        int64
}

func (f *fields) targets() []any {
	return []any{&f.version, &f.person, &f.client, &f.expires, &f.value}
}

func (f *fields) record(k store.Key) (store.Record, error) {
	r := store.Record{Key: k, Expires: time.Unix(f.expires, 0).UTC(), Value: f.value}
	if len(f.version) != len(r.Version) || len(f.person) > len(r.Person) || len(f.client) > len(r.Client) {
		return store.Record{}, fmt.Errorf("the row of a record is malformed")
	}
	copy(r.Version[:], f.version)
	copy(r.Person[:], f.person)
	copy(r.Client[:], f.client)
	return r, nil
}

// row runs a query for one row. sql.ErrNoRows becomes store.ErrNotFound.
func (s *Store) row(ctx context.Context, name string, args []any, targets ...any) error {
	return s.try(ctx, func(ctx context.Context) error {
		err := s.config.Read.QueryRowContext(ctx, s.sql[name], args...).Scan(targets...)
		if errors.Is(err, sql.ErrNoRows) {
			return store.ErrNotFound
		}
		return err
	})
}

// exec runs a statement and returns how many rows it affected.
func (s *Store) exec(ctx context.Context, name string, args ...any) (int64, error) {
	res, err := s.config.Write.ExecContext(ctx, s.sql[name], args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, k store.Key) (store.Record, error) {
	args, err := s.key(k)
	if err != nil {
		return store.Record{}, err
	}
	var f fields
	if err := s.row(ctx, "get", append(args, s.now()), f.targets()...); err != nil {
		return store.Record{}, err
	}
	return f.record(k)
}

// stored tells what is there where a write met nothing that it may change: the version of
// the live record, or ErrNotFound.
func (s *Store) stored(ctx context.Context, key []any) (v store.Version, err error) {
	var version []byte
	var expires int64
	switch err := s.config.Write.QueryRowContext(ctx, s.sql["version"], key...).Scan(&version, &expires); {
	case errors.Is(err, sql.ErrNoRows):
		return v, store.ErrNotFound
	case err != nil:
		return v, err
	case expires <= s.now():
		return v, store.ErrNotFound
	}
	copy(v[:], version)
	return v, nil
}
