// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestTakeAndRefill(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(start)
	a := New(now.Now)
	for i := range 3 {
		if _, ok := a.Take(addr("192.0.2.1"), 3, time.Minute); !ok {
			t.Fatalf("event %d refused", i)
		}
	}
	wait, ok := a.Take(addr("192.0.2.1"), 3, time.Minute)
	if ok || wait != 20*time.Second {
		t.Errorf("%v, %s", ok, wait)
	}
	if _, ok := a.Take(addr("192.0.2.2"), 3, time.Minute); !ok {
		t.Error("a neighbour pays")
	}
	now.Advance(wait)
	if _, ok := a.Take(addr("192.0.2.1"), 3, time.Minute); !ok {
		t.Error("not refilled")
	}
	if _, ok := a.Take(addr("192.0.2.1"), 6, time.Minute); ok {
		t.Error("a larger bucket came full")
	}
	now.Advance(10 * time.Second)
	if _, ok := a.Take(addr("192.0.2.1"), 6, time.Minute); !ok {
		t.Error("the new rate does not hold")
	}
}

func TestEmptySpendsNothing(t *testing.T) {
	t.Parallel()
	a := New(clock.NewFake(start).Now)
	for range 10 {
		if _, empty := a.Empty(addr("192.0.2.1"), 1, time.Minute); empty {
			t.Fatal("asking costs")
		}
	}
	a.Take(addr("192.0.2.1"), 1, time.Minute)
	if wait, empty := a.Empty(addr("192.0.2.1"), 1, time.Minute); !empty || wait != time.Minute {
		t.Errorf("%v, %s", empty, wait)
	}
	if a.recent.Len() != 1 {
		t.Errorf("%d buckets", a.recent.Len())
	}
}

func TestWhatIsOneAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"::ffff:192.0.2.1", "192.0.2.1", true},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		{"fe80::1%eth0", "fe80::1%eth1", true},
		{"192.0.2.1", "192.0.2.2", false},
	} {
		if same := prefixOf(addr(c.a)) == prefixOf(addr(c.b)); same != c.same {
			t.Errorf("%s and %s: %v", c.a, c.b, same)
		}
	}
	if prefixOf(netip.Addr{}).IsValid() {
		t.Error("no address is a prefix")
	}
}

func TestSec_M08_AddressesAreForgotten(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(start)
	a := New(now.Now)
	a.Take(addr("192.0.2.1"), 1, time.Hour)
	for i := range uint32(maxAddresses + 1000) {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 10<<24+i)
		a.Take(netip.AddrFrom4(b), 1, time.Hour)
		if i%1000 == 0 {
			a.Take(addr("192.0.2.1"), 1, time.Hour)
		}
	}
	if len(a.byAddr) != maxAddresses || a.recent.Len() != maxAddresses {
		t.Errorf("%d buckets, %d in order", len(a.byAddr), a.recent.Len())
	}
	if _, empty := a.Empty(addr("192.0.2.1"), 1, time.Hour); !empty {
		t.Error("who comes often is forgotten")
	}
	if _, empty := a.Empty(addr("10.0.0.0"), 1, time.Hour); empty {
		t.Error("who was quiet longest is remembered")
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	now := clock.NewFake(start)
	b := NewBudget(now.Now, 100, 10*time.Second)
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if _, ok := b.Take(); ok {
					won.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if won.Load() != 100 {
		t.Errorf("%d of 100", won.Load())
	}
	if wait, ok := b.Take(); ok || wait != time.Second {
		t.Errorf("%v, %s", ok, wait)
	}
	now.Advance(100 * time.Millisecond)
	if _, ok := b.Take(); !ok {
		t.Error("not refilled")
	}
}
