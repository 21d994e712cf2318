// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// migration is one file: it brings the schema from the version before to its own.
type migration struct {
	version int
	file    string
	text    string
}

// migrations are the files of the backend by version, such as 0001_records.sql.
func (s *Store) migrations() ([]migration, error) {
	names, err := fs.Glob(s.config.Migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var all []migration
	for _, name := range names {
		text, err := fs.ReadFile(s.config.Migrations, name)
		if err != nil {
			return nil, err
		}
		file := strings.TrimPrefix(name, "migrations/")
		number, _, _ := strings.Cut(file, "_")
		version, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("%s does not begin with a number", file)
		}
		all = append(all, migration{version, file, prefixed(string(text), s.config.Prefix)})
	}
	slices.SortFunc(all, func(a, b migration) int { return a.version - b.version })
	return all, nil
}

// migrate brings the schema up to date. It changes nothing where that was done already,
// so the server's role needs no right to create tables then.
func (s *Store) migrate(ctx context.Context) error {
	all, err := s.migrations()
	if err != nil {
		return err
	}
	var have int
	err = s.try(ctx, func(ctx context.Context) (err error) {
		have, err = s.schema(ctx, s.config.Write)
		return err
	})
	if err != nil {
		return err
	}
	latest := all[len(all)-1].version
	switch {
	case have > latest:
		return fmt.Errorf("the tables %s* have schema version %d and this server knows %d: update the server on this node", s.config.Prefix, have, latest)
	case have == latest:
		return nil
	}
	err = s.try(ctx, func(ctx context.Context) error { return s.apply(ctx, all) })
	if err != nil {
		return fmt.Errorf("bringing the tables %s* from schema version %d to %d: %w; "+
			"a database administrator may run the files in migrations by hand instead, see docs/stores.md", s.config.Prefix, have, latest, err)
	}
	return nil
}

// querier is a *sql.DB or *sql.Tx.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// schema is the version of the schema, 0 where there is none.
func (s *Store) schema(ctx context.Context, q querier) (int, error) {
	var installed, version int
	if err := q.QueryRowContext(ctx, s.sql["installed"]).Scan(&installed); err != nil || installed == 0 {
		return 0, err
	}
	err := q.QueryRowContext(ctx, s.sql["schema"]).Scan(&version)
	return version, err
}

// apply runs what is missing in one transaction. Of several nodes one does it, and the
// others wait for it and find nothing missing.
func (s *Store) apply(ctx context.Context, all []migration) error {
	tx, err := s.config.Write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if lock, ok := s.sql["migration_lock"]; ok {
		if _, err := tx.ExecContext(ctx, lock); err != nil {
			return err
		}
	}
	have, err := s.schema(ctx, tx)
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.version <= have {
			continue
		}
		if _, err := tx.ExecContext(ctx, m.text); err != nil {
			return fmt.Errorf("%s: %w", m.file, err)
		}
	}
	return tx.Commit()
}
