// SPDX-License-Identifier: Apache-2.0

package redis_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
)

// allowed are the commands that this store may use, all of them in Redis 6.0. Azure Cache
// for Redis is no newer.
var allowed = []string{
	// of the store
	"config|get", "del", "eval", "evalsha", "get", "info", "pexpire", "ping", "pttl", "publish", "set", "subscribe",
	"time", "zadd", "zrangebylex", "zrangebyscore", "zrem",
	// of the connection
	"auth", "hello", "select", "client|setname", "cluster|slots", "cluster|shards", "command",
}

// luaCall is a command in a script, with the rest of its line.
var luaCall = regexp.MustCompile(`redis\.p?call\('([A-Z]+)'([^\n]*)`)

// newer are options that these commands do not have in Redis 6.0.
var newer = regexp.MustCompile(`'(GET|EXAT|PXAT|GT|LT)'`)

func TestScriptsUseRedis60(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("lua/*.lua")
	if err != nil || len(files) < 6 {
		t.Fatalf("%d scripts, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		calls := luaCall.FindAllStringSubmatch(string(text), -1)
		if got := strings.Count(string(text), "redis."); got != len(calls) {
			t.Errorf("%s uses redis. %d times, %d of them as a call", file, got, len(calls))
		}
		for _, c := range calls {
			if !slices.Contains(allowed, strings.ToLower(c[1])) {
				t.Errorf("%s calls %s", file, c[1])
			}
			if newer.MatchString(c[2]) {
				t.Errorf("%s: an option of a newer Redis: %s", file, c[0])
			}
			if !strings.HasPrefix(c[2], ", KEYS[1]") && c[1] != "PUBLISH" {
				t.Errorf("%s: another key than KEYS[1]: %s", file, c[0])
			}
		}
	}
}

// exercise calls every method once at least.
func exercise(t *testing.T, s *redis.Store, now func() time.Time) {
	t.Helper()
	ctx := t.Context()
	r := grant(1, now().Add(time.Hour))
	wantNil(t, s.Create(ctx, r))
	longer := next(r)
	longer.Expires = r.Expires.Add(1000 * time.Hour) // its entries have to be kept longer
	wantNil(t, s.Update(ctx, longer, r.Version))
	shorter := next(longer)
	shorter.Expires = now().Add(time.Minute)
	wantNil(t, s.Update(ctx, shorter, longer.Version))
	_, err := s.Get(ctx, r.Key)
	wantNil(t, err)
	_, err = s.Get(ctx, grant(2, now()).Key)
	wantErr(t, err, store.ErrNotFound)
	for _, q := range []store.Query{{}, {Person: r.Person}, {Client: r.Client}} {
		q.Site, q.Kind = r.Site, r.Kind
		page, err := s.List(ctx, q)
		wantNil(t, err)
		if len(page.Records) != 1 {
			t.Errorf("%d records listed", len(page.Records))
		}
	}
	n, err := s.Sweep(ctx, shorter.Expires, 10)
	if err != nil || n != 1 {
		t.Errorf("swept %d, %v", n, err)
	}
	wantNil(t, s.Create(ctx, r))
	wantNil(t, s.Delete(ctx, r.Key, r.Version))
	_, err = s.Ping(ctx)
	wantNil(t, err)
	watching, cancel := context.WithCancel(ctx)
	_ = s.Watch(watching, func(store.Key) { cancel() })
	cancel()
}

// What a real server counted, inside the scripts as well.
func TestCommandsAreOfRedis60(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	e := systemEnv()
	s := openStore(t, redis.Options{Addresses: []string{server.Addr}}, e)
	defer s.Close()
	exercise(t, s, e.Now)
	stats, err := server.Client(t).Info(t.Context(), "commandstats").Result()
	wantNil(t, err)
	used := regexp.MustCompile(`cmdstat_([^:]+):`).FindAllStringSubmatch(stats, -1)
	if len(used) < 12 {
		t.Errorf("only %d commands were used: %v", len(used), used)
	}
	for _, u := range used {
		if !slices.Contains(allowed, u[1]) {
			t.Errorf("%s was used", u[1])
		}
	}
}
