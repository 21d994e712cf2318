// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"testing"
	"time"
)

func TestSamplerLetsSomeLinesThroughEachSecond(t *testing.T) {
	t.Parallel()
	var s sampler
	at := time.Unix(1_800_000_000, 0)
	written := 0
	for range 3 * linesPerSecond {
		if ok, dropped := s.take(at); ok {
			written++
			if dropped != 0 {
				t.Fatalf("%d lines were dropped before the first was", dropped)
			}
		}
	}
	if written != linesPerSecond {
		t.Errorf("%d lines in one second", written)
	}
	if ok, dropped := s.take(at.Add(time.Second)); !ok || dropped != 2*linesPerSecond {
		t.Errorf("the next second: %v, %d dropped", ok, dropped)
	}
	if ok, dropped := s.take(at.Add(time.Second)); !ok || dropped != 0 {
		t.Errorf("the dropped lines were counted twice: %v, %d", ok, dropped)
	}
}
