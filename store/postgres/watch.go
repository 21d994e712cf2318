// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// watcher hears of changes over a connection of its own.
type watcher struct {
	config  *pgx.ConnConfig
	channel string
}

// quiet is how long nothing may be heard before the connection is tried: a server that
// vanished without a word would otherwise never be missed.
const quiet = 10 * time.Second

// watch reports changes until ctx ends or the connection breaks.
func (w watcher) watch(ctx context.Context, fn func(store.Key)) error {
	conn, err := connect(ctx, w.config)
	if err != nil {
		return explain(err)
	}
	defer hangUp(conn)
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{w.channel}.Sanitize()); err != nil {
		return explain(err)
	}
	fn(store.Key{})
	for {
		payload, err := listen(ctx, conn)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case pgconn.Timeout(err) && !conn.IsClosed():
			if err := ping(ctx, conn); err != nil {
				return explain(err)
			}
		case err != nil:
			return explain(err)
		default:
			fn(changed(payload))
		}
	}
}

func connect(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	return pgx.ConnectConfig(ctx, config)
}

// hangUp says goodbye, for which the context of the caller may be too late.
func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

func listen(ctx context.Context, conn *pgx.Conn) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	n, err := conn.WaitForNotification(ctx)
	if err != nil {
		return "", err
	}
	return n.Payload, nil
}

func ping(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, quiet/2)
	defer cancel()
	return conn.Ping(ctx)
}

// changed is the record that a notification is about: site, kind and id. One that nobody
// understands may be about any.
func changed(payload string) store.Key {
	parts := strings.Split(payload, "/")
	if len(parts) != 3 {
		return store.Key{}
	}
	return store.Key{Site: parts[0], Kind: store.Kind(parts[1]), ID: parts[2]}
}
