// SPDX-License-Identifier: Apache-2.0

package memory

import "math/bits"

// arena keeps values in large pieces of memory without pointers, so that the garbage
// collector has a few thousand things to look at instead of one for every record. A
// value takes a slot of the next larger size; a slot that is given back is used again.
// Sizes are at most an eighth apart.
type arena struct{ sizes []slots }

// span is where a value is. The zero span is the empty value.
type span struct {
	slot   uint32
	length uint32
	size   uint8
}

const (
	smallest  = 64
	chunkSize = 64 << 10
)

// slots are all slots of one size.
type slots struct {
	size   int
	chunks [][]byte
	free   []uint32
	used   uint32 // slots that were ever given out
}

func (s *slots) perChunk() uint32 { return uint32(max(1, chunkSize/s.size)) }

func (s *slots) bytes(slot uint32) []byte {
	n := s.perChunk()
	at := int(slot%n) * s.size
	return s.chunks[slot/n][at : at+s.size]
}

// take returns an unused slot.
func (s *slots) take() uint32 {
	if last := len(s.free) - 1; last >= 0 {
		slot := s.free[last]
		s.free = s.free[:last]
		return slot
	}
	slot, n := s.used, s.perChunk()
	if slot%n == 0 {
		s.chunks = append(s.chunks, make([]byte, int(n)*s.size))
	}
	s.used++
	return slot
}

// sizeOf returns the number of the smallest size that holds n bytes, and that size.
// Sizes are multiples of 64 up to 512, then eight for each doubling.
func sizeOf(n int) (number, size int) {
	if n <= 8*smallest {
		number = (n + smallest - 1) / smallest
		return number, number * smallest
	}
	doubling := bits.Len(uint(n-1)) - 1 // 2^doubling < n <= 2^(doubling+1), from 9 on
	step := 1 << (doubling - 3)
	eighth := (n - 1 - 1<<doubling) / step
	return 9 + (doubling-9)*8 + eighth, 1<<doubling + (eighth+1)*step
}

// put copies a value in.
func (a *arena) put(value []byte) span {
	if len(value) == 0 {
		return span{}
	}
	number, size := sizeOf(len(value))
	for len(a.sizes) <= number {
		a.sizes = append(a.sizes, slots{})
	}
	s := &a.sizes[number]
	s.size = size
	at := span{slot: s.take(), length: uint32(len(value)), size: uint8(number)}
	copy(s.bytes(at.slot), value)
	return at
}

// get copies a value out.
func (a *arena) get(at span) []byte {
	if at.length == 0 {
		return nil
	}
	return append([]byte(nil), a.sizes[at.size].bytes(at.slot)[:at.length]...)
}

// drop gives the slot of a value back.
func (a *arena) drop(at span) {
	if at.length == 0 {
		return
	}
	s := &a.sizes[at.size]
	clear(s.bytes(at.slot))
	s.free = append(s.free, at.slot)
}
