// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
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

// While the store is down every request to an endpoint is a warning, also those of a flood.
func TestSec_M12_UnknownOutcomesDoNotFloodTheLog(t *testing.T) {
	_, h := running(t, sited("flood.example.com"))
	sampled, ok := h.instance.server.Log.Handler().(sampledHandler)
	if !ok || sampled.lines != &h.instance.undecided {
		t.Fatalf("the endpoints write to %T", h.instance.server.Log.Handler())
	}
	text, b := textLog(slog.LevelDebug)
	log := slog.New(sampledHandler{text.Handler(), new(sampler)}).With("a", 1).WithGroup("g")
	const requests = 10_000
	began := clock.System().Unix()
	for range requests {
		log.Warn("request refused")
	}
	seconds := int(clock.System().Unix()-began) + 1
	if n := strings.Count(b.String(), "request refused"); n == 0 || n > seconds*linesPerSecond {
		t.Errorf("%d lines about %d requests in %d s", n, requests, seconds)
	}
	log.Debug("more", "b", 2)
	if !strings.Contains(b.String(), "msg=more a=1 g.b=2") {
		t.Errorf("what is for debugging was dropped: %s", b)
	}
}
