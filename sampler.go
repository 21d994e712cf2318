// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// linesPerSecond is how many lines of one kind a handler writes in a second, so that a
// flood of bad requests does not become a flood of lines.
const linesPerSecond = 50

// sampler lets a number of lines through in each second and counts the others. The zero
// value is ready for use.
type sampler struct {
	mu      sync.Mutex
	second  int64
	written int
	dropped int
}

// take tells whether a line may be written now, and how many were dropped since the last
// one that was.
func (s *sampler) take(now time.Time) (ok bool, dropped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if second := now.Unix(); second != s.second {
		s.second, s.written = second, 0
	}
	if s.written >= linesPerSecond {
		s.dropped++
		return false, 0
	}
	s.written++
	dropped, s.dropped = s.dropped, 0
	return true, dropped
}

// sampledHandler lets so many warnings a second through. Debugging is asked for, and
// everything is written then.
type sampledHandler struct {
	slog.Handler
	lines *sampler
}

// Handle implements slog.Handler.
func (h sampledHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return h.Handler.Handle(ctx, r)
	}
	ok, dropped := h.lines.take(clock.System())
	if !ok {
		return nil
	}
	if dropped > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("lines_dropped", dropped))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h sampledHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return sampledHandler{h.Handler.WithAttrs(attrs), h.lines}
}

// WithGroup implements slog.Handler.
func (h sampledHandler) WithGroup(name string) slog.Handler {
	return sampledHandler{h.Handler.WithGroup(name), h.lines}
}
