// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// watchSilence is how long a subscription may be silent before the server is asked
// whether it is still there, and how long it has to answer.
const watchSilence = 5 * time.Second

var errSilent = errors.New("the server does not answer on the connection that tells of changes")

// Watch implements store.Watcher. One channel carries the changes of every site with this
// prefix; what this handle changed itself is left out.
func (s *Store) Watch(ctx context.Context, fn func(store.Key)) error {
	if s.closed.Load() {
		return errClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	sub := s.client.Subscribe(ctx)
	defer sub.Close()
	// A reader that waits does not notice that ctx ends; closing the connection wakes it.
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	if err := sub.Subscribe(ctx, s.channel()); err != nil {
		return s.watchError(ctx, err)
	}
	for asked := false; ; {
		message, err := sub.ReceiveTimeout(ctx, watchSilence)
		switch {
		case err == nil:
			asked = false
			s.hear(message, fn)
			continue
		case !isTimeout(err) || ctx.Err() != nil:
			return s.watchError(ctx, err)
		case asked:
			return s.watchError(ctx, errSilent)
		}
		asked = true
		if err := sub.Ping(ctx); err != nil {
			return s.watchError(ctx, err)
		}
	}
}

// hear passes on what a message says.
func (s *Store) hear(message any, fn func(store.Key)) {
	switch m := message.(type) {
	case *redis.Subscription:
		fn(store.Key{})
	case *redis.Message:
		node, text, _ := strings.Cut(m.Payload, " ")
		parts := strings.Split(text, ":")
		if node == s.node || len(parts) != 3 {
			return
		}
		if k := (store.Key{Site: parts[0], Kind: store.Kind(parts[1]), ID: parts[2]}); checkKey(k) == nil {
			fn(k)
		}
	}
}

// notice is where a change of the key is published, and as what; "" for kinds that nobody
// remembers.
func (s *Store) notice(k store.Key) (channel, message string) {
	if !slices.Contains(watched, k.Kind) {
		return "", ""
	}
	return s.channel(), s.node + " " + keyText(k)
}

func (s *Store) watchError(ctx context.Context, err error) error {
	switch {
	case s.closed.Load():
		return errClosed
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("changes of other nodes may have been missed: %w", explain(err))
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}
