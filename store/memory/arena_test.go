// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Sizes rise, each holds what it has to, and none is more than an eighth too large.
func TestSizes(t *testing.T) {
	t.Parallel()
	last, lastSize := 0, 0
	for n := 1; n <= store.MaxValue; n++ {
		number, size := sizeOf(n)
		if size < n || size >= n+max(smallest, n/8+1) {
			t.Fatalf("%d bytes take a slot of %d", n, size)
		}
		if number != last && number != last+1 || (number == last) != (size == lastSize) {
			t.Fatalf("%d bytes have the size number %d (%d) after %d (%d)", n, number, size, last, lastSize)
		}
		last, lastSize = number, size
	}
	if last > 255 {
		t.Errorf("%d sizes do not fit a byte", last)
	}
}

// The arena is a map of values, whatever comes and goes.
func TestArenaAgainstAMap(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var a arena
	model := map[span][]byte{}
	for range 5_000 {
		if random.IntN(3) > 0 {
			value := make([]byte, 1+random.IntN(1+random.IntN(store.MaxValue)))
			for i := 0; i < len(value); i += 61 {
				value[i] = byte(random.Uint32())
			}
			at := a.put(value)
			if _, taken := model[at]; taken {
				t.Fatal("a slot was given out twice")
			}
			model[at] = value
			continue
		}
		for at, value := range model {
			if !bytes.Equal(a.get(at), value) {
				t.Fatal("a value has changed")
			}
			a.drop(at)
			delete(model, at)
			break
		}
		if len(model) > 200 {
			for at := range model {
				a.drop(at)
				delete(model, at)
			}
		}
	}
	for at, value := range model {
		if !bytes.Equal(a.get(at), value) {
			t.Fatal("a value has changed")
		}
	}
}

// What is given back is used again, and forgotten.
func TestArenaReuses(t *testing.T) {
	t.Parallel()
	var a arena
	at := a.put([]byte("secret"))
	a.drop(at)
	if bytes.Contains(a.sizes[at.size].chunks[0], []byte("secret")) {
		t.Error("a dropped value is still there")
	}
	if again := a.put([]byte("other")); again.slot != at.slot {
		t.Error("the slot is not used again")
	}
	if a.get(span{}) != nil {
		t.Error("the empty value is something")
	}
}

// An index keeps order over splits and removals.
func TestIndexAgainstASlice(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	var ids [20_000]uint16
	for i := range ids {
		ids[i] = uint16(random.Uint32())
	}
	x := index{at: func(r ref) position {
		return position{place: uint32(r % 3), id: [32]byte{byte(ids[r] >> 8), byte(ids[r]), byte(r >> 8), byte(r)}}
	}}
	there := map[ref]bool{}
	for range 60_000 {
		r := ref(random.IntN(len(ids)))
		if there[r] {
			x.remove(r)
		} else {
			x.insert(r)
		}
		there[r] = !there[r]
	}
	var before position
	n := 0
	for r := range x.from(position{}) {
		at := x.at(r)
		if before.compare(&at) > 0 || !there[r] {
			t.Fatal("out of order, or not there")
		}
		before = at
		n++
	}
	for _, is := range there {
		if is {
			n--
		}
	}
	if n != 0 {
		t.Errorf("the index has %d entries too many", n)
	}
	for r := range there {
		if there[r] {
			x.remove(r)
		}
	}
	if len(x.leaves) != 0 {
		t.Errorf("%d leaves of nothing", len(x.leaves))
	}
}

// Twenty thousand records are some hundred objects: the garbage collector does not
// have to look at each of them.
func TestRecordsAreNotObjects(t *testing.T) {
	objects := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapObjects
	}
	before := objects()
	s := filled(t, 20_000)
	if after := objects(); after > before+3_000 {
		t.Errorf("20,000 records are %d objects", after-before)
	}
	runtime.KeepAlive(s)
}
