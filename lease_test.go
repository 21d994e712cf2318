// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var released atomic.Int32
		l := lease{release: func() { released.Add(1) }}
		if !l.acquire() || !l.acquire() {
			t.Fatal("an open lease was refused")
		}
		l.done()
		l.close()
		if l.acquire() {
			t.Fatal("a closed lease was given")
		}
		synctest.Wait()
		if released.Load() != 0 {
			t.Fatal("released while in use")
		}
		l.done()
		l.close()
		synctest.Wait()
		if n := released.Load(); n != 1 {
			t.Fatalf("released %d times", n)
		}
	})
}

// A lease that nobody uses is released before close returns; a request that is the last
// one does not wait for the release.
func TestLeaseWhoWaits(t *testing.T) {
	t.Parallel()
	released := false
	idle := lease{release: func() { released = true }}
	idle.close()
	if !released {
		t.Error("close returned before the release")
	}
	hanging := make(chan struct{})
	defer close(hanging)
	busy := lease{release: func() { <-hanging }}
	busy.acquire()
	busy.close()
	busy.done()
}

func TestLeaseUnderLoad(t *testing.T) {
	t.Parallel()
	var inUse atomic.Int32
	released := make(chan struct{}, 2)
	l := lease{release: func() {
		released <- struct{}{}
		if inUse.Load() != 0 {
			t.Error("released while in use")
		}
	}}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for l.acquire() {
				inUse.Add(1)
				inUse.Add(-1)
				l.done()
			}
		})
	}
	l.close()
	wg.Wait()
	<-released
	if len(released) != 0 {
		t.Fatal("released twice")
	}
}
