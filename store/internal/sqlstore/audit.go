// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// auditRow is an entry of the audit trail as the statements take it.
type auditRow struct {
	ID       string `json:"id"`
	At       string `json:"at"`
	Event    string `json:"event"`
	Mode     string `json:"mode"`
	Site     string `json:"site"`
	Person   string `json:"person"`
	Client   string `json:"client"`
	Grant    string `json:"grant_id"`
	Token    string `json:"token"`
	Resource string `json:"resource"`
	Address  string `json:"address"`
	Agent    string `json:"agent"`
	Ref      string `json:"ref"`
}

// stamp is a time as the statements take it: UTC, of one length, so that it sorts as text.
const stamp = "2006-01-02T15:04:05.000"

// endOfTime is what a listing without end ends before.
var endOfTime = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// The longest texts that every dialect's columns hold.
const (
	maxWord = 64
	maxName = 256
	maxURL  = 2048
)

// fit makes a text fit for a column: without control characters, which JSON and terminals
// treat badly, valid UTF-8, and no longer than the column.
func fit(text string, limit int) string {
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, strings.ToValidUTF8(text, ""))
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "")
	}
	return text
}

func rowOf(e store.AuditEntry) auditRow {
	return auditRow{
		ID: fit(e.ID, 32), At: e.Time.UTC().Format(stamp), Event: fit(e.Event, maxWord), Mode: fit(e.Mode, maxWord),
		Site: fit(e.Site, 16), Person: fit(e.Person, maxName), Client: fit(e.Client, maxName), Grant: fit(e.Grant, maxWord),
		Token: fit(e.Token, maxWord), Resource: fit(e.Resource, maxURL), Address: fit(e.Address, maxWord),
		Agent: fit(e.Agent, maxName), Ref: fit(e.Ref, maxWord),
	}
}

// Append implements store.Auditor.
func (s *Store) Append(ctx context.Context, entries []store.AuditEntry) error {
	if s.config.NoAudit {
		return errors.ErrUnsupported
	}
	if len(entries) == 0 {
		return nil
	}
	rows := make([]auditRow, len(entries))
	for i, e := range entries {
		rows[i] = rowOf(e)
	}
	// Not escaped for HTML: the limits are those of the columns.
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(rows); err != nil {
		return err
	}
	return s.try(ctx, func(ctx context.Context) error {
		_, err := s.exec(ctx, "audit_append", text.String())
		return err
	})
}

// Find implements store.Auditor.
func (s *Store) Find(ctx context.Context, q store.AuditQuery) ([]store.AuditEntry, error) {
	if s.config.NoAudit {
		return nil, errors.ErrUnsupported
	}
	if q.Limit <= 0 || q.Limit > store.MaxAuditLimit {
		q.Limit = store.MaxAuditLimit
	}
	if q.Until.IsZero() {
		q.Until = endOfTime
	}
	if q.Since.Year() < 1 {
		q.Since = time.Time{}
	}
	column, text, err := by(q)
	if err != nil {
		return nil, err
	}
	value := any(text)
	if column != "person" && column != "client" {
		value = s.config.Text(text)
	}
	statement := strings.Replace(s.sql["audit_find"], "COLUMN", column, 1)
	args := []any{s.config.Text(q.Site), value, q.Since.UTC().Format(stamp), q.Until.UTC().Format(stamp), s.config.Text(q.After), int64(q.Limit)}
	var found []store.AuditEntry
	err = s.try(ctx, func(ctx context.Context) (err error) {
		found, err = s.findAudit(ctx, statement, args)
		return err
	})
	return found, err
}

// by is the column that a query selects by, and what it must be.
func by(q store.AuditQuery) (column, value string, err error) {
	column, value = "site", q.Site
	set := 0
	for _, c := range [][2]string{{"person", q.Person}, {"client", q.Client}, {"grant_id", q.Grant}, {"token", q.Token}} {
		if c[1] != "" {
			column, value = c[0], c[1]
			set++
		}
	}
	if set > 1 {
		return "", "", fmt.Errorf("a query of the audit trail may name one of person, client, grant and token")
	}
	return column, value, nil
}

func (s *Store) findAudit(ctx context.Context, statement string, args []any) ([]store.AuditEntry, error) {
	rows, err := s.config.Read.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []store.AuditEntry
	for rows.Next() {
		var e store.AuditEntry
		var at string
		err := rows.Scan(&e.ID, &at, &e.Event, &e.Mode, &e.Site, &e.Person, &e.Client, &e.Grant, &e.Token,
			&e.Resource, &e.Address, &e.Agent, &e.Ref)
		if err != nil {
			return nil, err
		}
		// Not every dialect writes a fraction that is zero, and parsing takes either.
		if e.Time, err = time.Parse("2006-01-02T15:04:05", at); err != nil {
			return nil, fmt.Errorf("the time of an entry of the audit trail is malformed: %w", err)
		}
		found = append(found, e)
	}
	return found, rows.Err()
}

// Prune implements store.Auditor.
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	if s.config.NoAudit {
		return 0, errors.ErrUnsupported
	}
	if limit <= 0 {
		return 0, nil
	}
	var removed int64
	err := s.try(ctx, func(ctx context.Context) (err error) {
		removed, err = s.exec(ctx, "audit_prune", before.UTC().Format(stamp), int64(limit))
		return err
	})
	return int(removed), err
}
