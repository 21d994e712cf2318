// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// fresh is a registration that nobody made before.
func fresh(i int) []byte {
	return fmt.Appendf(nil, `{"redirect_uris":["https://a.example/%d"]}`, i)
}

func TestSec_E01_RatePerAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range DefaultRate {
		if _, err := w.Register(t.Context(), rules, home, fresh(i)); err != nil {
			t.Fatalf("registration %d: %v", i, err)
		}
	}
	_, err := w.Register(t.Context(), rules, home, fresh(100))
	wantNo(t, "one too many", err, oauth.TemporarilyUnavailable, 429)
	if e := oauth.AsError(err); e.RetryAfter != 3*time.Second {
		t.Errorf("Retry-After %v, want 3s", e.RetryAfter)
	}
	if w.events.count(event.LimitHit) != 1 || w.store.creates.Load() != DefaultRate {
		t.Errorf("%d events, %d records", w.events.count(event.LimitHit), w.store.creates.Load())
	}
	// Who is known spends nothing, and gets in when others do not.
	for range 100 {
		if _, err := w.Register(t.Context(), rules, home, fresh(0)); err != nil {
			t.Fatalf("a known registration: %v", err)
		}
	}
	if _, err := w.Register(t.Context(), rules, netip.MustParseAddr("203.0.113.8"), fresh(101)); err != nil {
		t.Errorf("another address: %v", err)
	}
	w.clock.Advance(3 * time.Second)
	if _, err := w.Register(t.Context(), rules, home, fresh(102)); err != nil {
		t.Errorf("after Retry-After: %v", err)
	}
	_, err = w.Register(t.Context(), rules, home, fresh(103))
	wantNo(t, "again too many", err, oauth.TemporarilyUnavailable, 429)
}

func TestSec_E01_Prefixes(t *testing.T) {
	t.Parallel()
	one := Rules{Rate: 1, Window: time.Hour}
	l := newLimiter(clock.NewFake(start).Now)
	take := func(addr string) bool {
		a, _ := netip.ParseAddr(addr)
		return l.take(a, one) == nil
	}
	for _, tt := range []struct {
		addr string
		want bool
	}{
		{"2001:db8:0:1::1", true},
		{"2001:db8:0:1:ffff::2", false},
		{"2001:db8:0:1::1%eth0", false},
		{"2001:db8:0:2::1", true},
		{"192.0.2.1", true},
		{"::ffff:192.0.2.1", false},
		{"192.0.2.2", true},
		{"not an address", true},
		{"", false},
	} {
		if got := take(tt.addr); got != tt.want {
			t.Errorf("%s: %v", tt.addr, got)
		}
	}
}

func TestRateFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(start)
	l := newLimiter(now.Now)
	if l.take(home, Rules{Rate: 1, Window: time.Hour}) != nil || l.take(home, Rules{Rate: 1, Window: time.Hour}) == nil {
		t.Fatal("one an hour")
	}
	now.Advance(time.Minute)
	if err := l.take(home, Rules{Rate: 60, Window: time.Hour}); err == nil {
		t.Error("a minute of one an hour is not a whole one")
	}
	now.Advance(time.Minute)
	if err := l.take(home, Rules{Rate: 60, Window: time.Hour}); err != nil {
		t.Errorf("one a minute: %v", err)
	}
}

func TestSec_E01_GlobalBudget(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(start)
	l := newLimiter(now.Now)
	addr := netip.MustParseAddr("10.0.0.0")
	for i := range globalNew {
		if addr = addr.Next(); l.take(addr, rules) != nil {
			t.Fatalf("registration %d is refused", i)
		}
	}
	addr = addr.Next()
	err := l.take(addr, rules)
	wantNo(t, "all spent", err, oauth.TemporarilyUnavailable, 429)
	if e := oauth.AsError(err); e.RetryAfter < 8*time.Second || e.RetryAfter > 9*time.Second {
		t.Errorf("Retry-After %v, want 8.64s", e.RetryAfter)
	}
	now.Advance(9 * time.Second)
	if err := l.take(addr, rules); err != nil {
		t.Errorf("after Retry-After: %v", err)
	}
}
