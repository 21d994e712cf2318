// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
)

func textLog(level slog.Level) (*slog.Logger, *syncBuffer) {
	b := new(syncBuffer)
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: level})), b
}

// liveOver is a live log of its own.
func liveOver(l *logs) *slog.Logger { return slog.New(&liveHandler{target: &l.target}) }

func TestLiveLogFollowsTheRunningConfiguration(t *testing.T) {
	t.Parallel()
	var l logs
	live := liveOver(&l).With("issuer", "i").WithGroup("g").With("a", 1)
	live.Info("nobody hears this")
	if live.Enabled(t.Context(), slog.LevelError) {
		t.Error("enabled without a target")
	}
	one, first := textLog(slog.LevelInfo)
	two, second := textLog(slog.LevelDebug)
	l.started(1, one)
	live.Info("to the first")
	live.Debug("too detailed")
	l.started(2, two)
	live.Debug("to the second")
	l.stopped(2)
	live.Info("to the first again")
	l.stopped(1)
	live.Info("after the last")
	if got := first.String(); strings.Count(got, "\n") != 3 || !strings.Contains(got, `msg="to the first" issuer=i g.a=1`) ||
		!strings.Contains(got, "again") || !strings.Contains(got, "after the last") || strings.Contains(got, "detailed") {
		t.Errorf("first log:\n%s", got)
	}
	if got := second.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "to the second") {
		t.Errorf("second log:\n%s", got)
	}
	if len(l.running) != 0 {
		t.Error("configurations are kept alive")
	}
}

// An old configuration that ends does not take the log away from the new one.
func TestLiveLogOutlivesTheOld(t *testing.T) {
	t.Parallel()
	var l logs
	one, _ := textLog(slog.LevelInfo)
	two, second := textLog(slog.LevelInfo)
	l.started(1, one)
	l.started(2, two)
	l.stopped(1)
	liveOver(&l).Info("hello")
	if !strings.Contains(second.String(), "hello") {
		t.Error("the new log got nothing")
	}
}

func TestLiveLogConcurrently(t *testing.T) {
	t.Parallel()
	var l logs
	live := liveOver(&l)
	one, b := textLog(slog.LevelInfo)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 100 {
				l.started(i, one)
				live.With("i", i).Info("x")
				l.stopped(i)
			}
		})
	}
	wg.Wait()
	if n := strings.Count(b.String(), "msg=x"); n != 400 {
		t.Errorf("%d lines", n)
	}
}

func TestEventsInTheLog(t *testing.T) {
	t.Parallel()
	levels := map[event.Kind]string{
		event.ClientRegistered: "INFO", event.ClientRefused: "DEBUG", event.LoginStarted: "DEBUG", event.LoginDenied: "INFO",
		event.LoginFailed: "WARN", event.BrowserMismatch: "WARN", event.CodeIssued: "DEBUG", event.CodeRedeemed: "INFO",
		event.TokenRefused: "DEBUG", event.CodeReplayed: "WARN", event.Refreshed: "INFO", event.RefreshRefused: "DEBUG",
		event.RefreshReuse: "WARN", event.RefreshFailed: "DEBUG",
		event.GrantEnded: "INFO", event.RecordTampered: "WARN", event.KeyringRotated: "INFO", event.LimitHit: "WARN",
		event.BackendRefused: "WARN", event.ProviderUnsettled: "WARN", event.AccountVerified: "DEBUG",
	}
	for kind, level := range levels {
		log, b := textLog(slog.LevelDebug)
		logSink{log, new(sampler)}.Emit(t.Context(), event.Event{Kind: kind, Client: "c", Cause: errors.New("why")})
		if got := b.String(); !strings.Contains(got, "level="+level+" msg="+string(kind)+" client_id=c error=why\n") {
			t.Errorf("%s: %s", kind, got)
		}
	}
	log, b := textLog(slog.LevelInfo)
	logSink{log, new(sampler)}.Emit(t.Context(), event.Event{Kind: event.TokenRefused})
	if b.String() != "" {
		t.Errorf("a refusal is not for information: %s", b)
	}
}

// A flood that a limit holds off does not become a flood of lines: the events are counted
// in the next line that is written.
func TestSec_M12_LimitsDoNotFloodTheLog(t *testing.T) {
	t.Parallel()
	log, b := textLog(slog.LevelInfo)
	s := logSink{log, new(sampler)}
	const hits = 10_000
	began := clock.System().Unix()
	for range hits {
		s.Emit(t.Context(), event.Event{Kind: event.LimitHit, Mode: "introspect"})
	}
	seconds := int(clock.System().Unix()-began) + 1
	if n := strings.Count(b.String(), "limit_hit"); n == 0 || n > seconds*linesPerSecond {
		t.Errorf("%d lines about %d hits in %d s", n, hits, seconds)
	}
	s.Emit(t.Context(), event.Event{Kind: event.GrantEnded})
	if !strings.Contains(b.String(), "grant_ended") {
		t.Error("another event was dropped with them")
	}
}

// What a stranger chooses cannot forge a line, paint a terminal or fill a disk.
func TestSec_O02_LogInjection(t *testing.T) {
	t.Parallel()
	if got := plain("a\r\nlevel=ERROR \x1b[31mred\u202e\u2066\u0085b\xff"); got != "alevel=ERROR [31mredb" {
		t.Errorf("%q", got)
	}
	if got := plain(strings.Repeat("é", 5000)); len(got) > maxLogged+len("…") || !strings.HasSuffix(got, "…") {
		t.Errorf("%d bytes", len(got))
	}
	if got := plain("dcr_Ünïcode 1"); got != "dcr_Ünïcode 1" {
		t.Errorf("%q", got)
	}
	_, h := running(t, sited("inject.example.com"))
	log := logged(h)
	r := prepared(http.MethodGet, "https://inject.example.com/oauth/%0Alevel=ERROR%1b")
	r.Host = "inject.example.com"
	ask(t, h, r, nil)
	if strings.Count(log.String(), "\n") != 1 || strings.Contains(log.String(), "\x1b") || !strings.Contains(log.String(), "%0Alevel") {
		t.Errorf("log: %q", log)
	}
}

// Whatever may have a code, a state or a token in its query is kept out of the access log,
// and its own line has no query.
func TestSec_O01_NoQueryInAnyLog(t *testing.T) {
	_, h := running(t, sited("query.example.com"))
	admitGood(h)
	log := logged(h)
	const secret = "s3cr3t-0123456789abcdef"
	for _, c := range []struct {
		name, method, url string
		status            int
	}{
		{"callback", http.MethodGet, "https://query.example.com/oauth/callback?state=x&code=" + secret, 0},
		{"authorize", http.MethodGet, "https://query.example.com/oauth/authorize?state=" + secret, 0},
		{"login", http.MethodGet, "https://query.example.com/oauth/login?token=" + secret, 0},
		{"token", http.MethodPost, "https://query.example.com/oauth/token?refresh_token=" + secret, 400},
		{"callback in another form", http.MethodGet, "https://query.example.com/oauth//callback?code=" + secret, 400},
		{"callback with a slash", http.MethodGet, "https://query.example.com/oauth/callback/?code=" + secret, 0},
		{"another host", http.MethodGet, "https://other.example.com/mcp?access_token=" + secret, 421},
		{"resource", http.MethodGet, "https://query.example.com/mcp?access_token=" + secret, 400},
		{"resource, odd spelling", http.MethodGet, "https://query.example.com/mcp?Access-Token=" + secret, 401},
		{"document", http.MethodGet, "https://query.example.com/.well-known/oauth-authorization-server?x=" + secret, 200},
	} {
		before := len(log.String())
		r := prepared(c.method, c.url)
		w := ask(t, h, r, new(backend))
		if c.status != 0 && w.Code != c.status || w.Code >= 500 {
			t.Errorf("%s: status %d", c.name, w.Code)
		}
		if skip, _ := variable(r, caddyhttp.LogSkipVar).(bool); !skip {
			t.Errorf("%s: in the access log", c.name)
		}
		line := log.String()[before:]
		if n := strings.Count(line, `msg="handled request"`); n != 1 || !strings.Contains(line, "client_ip=192.0.2.1") || strings.Contains(line, "status=0") {
			t.Errorf("%s: own lines: %s", c.name, line)
		}
		if strings.Contains(line+w.Body.String(), secret[:16]) {
			t.Errorf("%s: the secret is in %s or %s", c.name, line, w.Body)
		}
	}
}

// What holds no secret stays in the access log, where it is looked for, with its person.
func TestAccessLogOfGuardedRequests(t *testing.T) {
	_, h := running(t, sited("access.example.com"))
	admitGood(h)
	log := logged(h)
	r := prepared(http.MethodGet, "https://access.example.com/mcp?x=1", "Authorization", "Bearer good")
	ask(t, h, r, new(backend))
	if variable(r, caddyhttp.LogSkipVar) != nil || log.String() != "" {
		t.Errorf("skip %v, log %s", variable(r, caddyhttp.LogSkipVar), log)
	}
	// The web server's user_id is this placeholder.
	if id := placeholder(r, "http.auth.user.id"); id != "jane" {
		t.Errorf("user %q", id)
	}
	r = prepared(http.MethodGet, "https://access.example.com/mcp")
	ask(t, h, r, new(backend))
	if variable(r, caddyhttp.LogSkipVar) != nil || strings.Contains(log.String(), "handled request") {
		t.Errorf("a refusal without query is missing from the access log: %s", log)
	}
}

// An answer that panics is missing from no log.
func TestLineOfAPanic(t *testing.T) {
	_, h := running(t, sited("ouch.example.com"))
	log := logged(h)
	func() {
		defer func() { _ = recover() }()
		h.instance.answer(nil, prepared(http.MethodGet, "https://ouch.example.com/oauth/x"), h.instance.table.Route("ouch.example.com", "/oauth/x", "/oauth/x"))
	}()
	if !strings.Contains(log.String(), "status=") {
		t.Errorf("log: %s", log)
	}
}

// A client that hangs up is no outage.
func TestHangingUpIsNoWarning(t *testing.T) {
	_, h := running(t, sited("hangup.example.com"))
	admit(h.instance.site, lookupFunc(func(ctx context.Context, _ string) (*guard.Access, error) { return nil, errors.New("store is gone") }))
	log := logged(h)
	ctx, cancel := context.WithCancel(t.Context())
	for _, c := range []struct {
		before func()
		level  string
	}{{func() {}, "level=WARN"}, {cancel, "level=DEBUG"}} {
		c.before()
		before := len(log.String())
		r := prepared(http.MethodGet, "https://hangup.example.com/mcp", "Authorization", "Bearer good")
		if w := ask(t, h, r.WithContext(mergeDone{r.Context(), ctx}), new(backend)); w.Code != http.StatusServiceUnavailable {
			t.Errorf("status %d", w.Code)
		}
		if line := log.String()[before:]; !strings.Contains(line, c.level) {
			t.Errorf("want %s: %s", c.level, line)
		}
	}
}

// mergeDone has the values of one context and the end of another.
type mergeDone struct {
	context.Context
	end context.Context
}

func (m mergeDone) Done() <-chan struct{} { return m.end.Done() }
func (m mergeDone) Err() error            { return m.end.Err() }

// Caddy writes handlers into its log at debug level, and so it does those of events.
func TestSec_O04_PrintedHandlersHoldNoSecret(t *testing.T) {
	t.Setenv("MCPOAUTH_TEST_SECRET", "correct-horse-battery-staple")
	c := newConfiguration(t)
	h := c.load(strings.Replace(sited("printed.example.com", keyA), "s3cret", "{env.MCPOAUTH_TEST_SECRET}", 1))
	for name, v := range map[string]any{"handler": h, "subscriber": startedHandler{h.instance}} {
		if text := canonical(v); strings.Contains(text, "correct-horse") {
			t.Errorf("%s: %s", name, text)
		}
	}
	if text := canonical(startedHandler{h.instance}); text != "{}" {
		t.Errorf("subscriber: %s", text)
	}
}
