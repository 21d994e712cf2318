// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
)

// liveLog writes to the log of the configuration that started last and still runs. Sites
// and stores outlive configurations, whose logs are closed behind them.
var liveLog = slog.New(&liveHandler{target: &liveLogs.target})

// liveLogs are the logs of the configurations that run now, the latest last.
var liveLogs logs

type logs struct {
	target  atomic.Pointer[slog.Handler]
	mu      sync.Mutex
	running []runningLog
}

type runningLog struct {
	owner   any
	handler slog.Handler
}

// started makes l the target until stopped is called for the same owner.
func (l *logs) started(owner any, log *slog.Logger) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = append(l.running, runningLog{owner, log.Handler()})
	l.follow()
}

// stopped returns to the log before. The very last one stays the target: whatever still
// has to be said has no better place.
func (l *logs) stopped(owner any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = slices.DeleteFunc(l.running, func(r runningLog) bool { return r.owner == owner })
	l.follow()
}

func (l *logs) follow() {
	if n := len(l.running); n > 0 {
		h := l.running[n-1].handler
		l.target.Store(&h)
	}
}

// liveHandler is a slog.Handler with an exchangeable target.
type liveHandler struct {
	target *atomic.Pointer[slog.Handler]
	// with replays WithAttrs and WithGroup on the target of the moment.
	with []func(slog.Handler) slog.Handler
}

func (h *liveHandler) resolve() slog.Handler {
	p := h.target.Load()
	if p == nil {
		return slog.DiscardHandler
	}
	out := *p
	for _, f := range h.with {
		out = f(out)
	}
	return out
}

// Enabled implements slog.Handler.
func (h *liveHandler) Enabled(ctx context.Context, l slog.Level) bool {
	p := h.target.Load()
	return p != nil && (*p).Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (h *liveHandler) Handle(ctx context.Context, r slog.Record) error {
	return h.resolve().Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *liveHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.and(func(t slog.Handler) slog.Handler { return t.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h *liveHandler) WithGroup(name string) slog.Handler {
	return h.and(func(t slog.Handler) slog.Handler { return t.WithGroup(name) })
}

func (h *liveHandler) and(f func(slog.Handler) slog.Handler) slog.Handler {
	with := append(h.with[:len(h.with):len(h.with)], f)
	return &liveHandler{target: h.target, with: with}
}

// logSink writes events to the log: what changed state as information, what an operator
// should look at as a warning, refusals at debug level. Of the hits of a limit, which a flood
// consists of, it writes only so many a second.
type logSink struct {
	log    *slog.Logger
	limits *sampler
}

// Emit implements event.Sink.
func (s logSink) Emit(ctx context.Context, e event.Event) {
	level := slog.LevelInfo
	switch e.Kind {
	case event.RecordTampered, event.CodeReplayed, event.RefreshReuse, event.BrowserMismatch, event.LoginFailed,
		event.BackendRefused, event.ProviderUnsettled, event.LimitHit:
		level = slog.LevelWarn
	case event.ClientRefused, event.TokenRefused, event.RevocationRefused, event.IntrospectionRefused,
		event.RefreshRefused, event.RefreshFailed, event.LoginStarted, event.CodeIssued, event.TokenUsed, event.AccountVerified:
		level = slog.LevelDebug
	}
	if !s.log.Enabled(ctx, level) {
		return
	}
	dropped := 0
	if e.Kind == event.LimitHit {
		var ok bool
		if ok, dropped = s.limits.take(clock.System()); !ok {
			return
		}
	}
	attrs := make([]slog.Attr, 0, 8)
	for _, a := range []slog.Attr{
		slog.String("mode", e.Mode), slog.String("ref", e.Ref), slog.String("client_id", e.Client),
		slog.String("user_id", e.Person), slog.String("grant", e.Grant), slog.String("resource", e.Resource),
		slog.String("client_ip", e.Address), slog.String("last_ip", e.LastAddress), slog.String("last_agent", e.LastAgent),
	} {
		if text := plain(a.Value.String()); text != "" {
			attrs = append(attrs, slog.String(a.Key, text))
		}
	}
	if e.Cause != nil {
		attrs = append(attrs, slog.String("error", plain(e.Cause.Error())))
	}
	if dropped > 0 {
		attrs = append(attrs, slog.Int("lines_dropped", dropped))
	}
	s.log.LogAttrs(ctx, level, string(e.Kind), attrs...)
}

// maxLogged bounds what one field of a log line may hold, in bytes.
const maxLogged = 256

// plain is text that a stranger may have chosen, made fit for a log line on a terminal.
func plain(text string) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == unicode.ReplacementChar {
			return -1
		}
		return c
	}, text)
	if len(text) > maxLogged {
		text = strings.ToValidUTF8(text[:maxLogged], "") + "…"
	}
	return text
}
