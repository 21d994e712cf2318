// SPDX-License-Identifier: Apache-2.0

package redis_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
)

// Where the server written in Go differs from Redis in what this store uses, so that
// nobody takes a test on a bare machine for more than it is.
func TestMiniredisDiffers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	mini := goredis.NewClient(&goredis.Options{Addr: miniredis.RunT(t).Addr()})
	defer mini.Close()
	ctx := t.Context()
	for what, ask := range map[string]func(context.Context, *goredis.Client) bool{
		"time passes by itself": func(ctx context.Context, c *goredis.Client) bool {
			wantNil(t, c.Set(ctx, "k", "v", time.Millisecond).Err())
			for range 100 {
				if c.Exists(ctx, "k").Val() == 0 {
					return true
				}
			}
			return c.PTTL(ctx, "k").Val() < time.Millisecond
		},
		"the eviction policy can be asked": func(ctx context.Context, c *goredis.Client) bool {
			policy, err := c.ConfigGet(ctx, "maxmemory-policy").Result()
			return err == nil && policy["maxmemory-policy"] != ""
		},
		"a user can have few rights": func(ctx context.Context, c *goredis.Client) bool {
			return c.Do(ctx, "ACL", "SETUSER", "weak", "on", "nopass", "+get").Err() == nil
		},
		"a script that runs too long can be stopped": func(ctx context.Context, c *goredis.Client) bool {
			err := c.Do(ctx, "SCRIPT", "KILL").Err()
			return err != nil && strings.HasPrefix(err.Error(), "NOTBUSY")
		},
	} {
		if !ask(ctx, server.Client(t)) {
			t.Errorf("%s: not in Redis", what)
		}
		if ask(ctx, mini) {
			t.Errorf("%s: in miniredis as well; tests on a bare machine can rely on it", what)
		}
	}
}
