// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/guard"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

const forwarding = "resource https://%s/mcp {\nforward {\nheader X-User sub\nheader X-User-Name name\nheader X-User-Email email\n}\n}\n" +
	nowhere + "store memory\n"

// The headers of the configuration say what the token says, and nothing that a client
// wrote, in whatever spelling: on a guarded request, on one that lacks the claim, and on
// one that nobody vouched for but that may reach the same server.
func TestSec_J01_IdentityHeadersAreOurs(t *testing.T) {
	_, h := running(t, strings.ReplaceAll(forwarding, "%s", "who.example.com"))
	admitGood(h)
	forged := http.Header{
		"X-User": {"root"}, "x-user": {"root"}, "X_user": {"root"}, "X.user-Name": {"root"}, "X-User-Email": {"root@example.com"}, "X-User_email-": {"root"},
	}
	for path, want := range map[string]http.Header{
		"/mcp":   {"X-User": {"jane"}, "X-User-Name": {"JaneX-Role: admin"}}, // the address is not verified
		"/other": {},
	} {
		next := new(backend)
		r := prepared(http.MethodPost, "https://who.example.com"+path, "Authorization", "Bearer good")
		for name, values := range forged {
			r.Header[name] = values
		}
		r.Trailer = http.Header{"X-User": nil}
		if w := ask(t, h, r, next); w.Code != http.StatusNoContent {
			t.Fatalf("%s: status %d", path, w.Code)
		}
		if len(next.last.Trailer) > 0 {
			t.Errorf("%s: the server gets %v after the body", path, next.last.Trailer)
		}
		for name, values := range next.last.Header {
			if strings.HasPrefix(strings.ToLower(strings.Trim(name, "-_.")), "x") && (len(values) != 1 || len(want[name]) != 1 || values[0] != want[name][0]) {
				t.Errorf("%s: the server got %s: %q", path, name, values)
			}
		}
		for name := range want {
			if next.last.Header.Get(name) == "" {
				t.Errorf("%s: the server got no %s", path, name)
			}
		}
	}
}

// Whoever calls for help reads an id aloud: it is in the body of the answer and in the
// line of the access log, where there is one.
func TestReferenceIsInTheAccessLog(t *testing.T) {
	_, h := running(t, sited("ref.example.com"))
	admitGood(h)
	for name, server := range map[string]*caddyhttp.Server{"logs": {Logs: new(caddyhttp.ServerLogConfig)}, "no logs": {}} {
		for token, path := range map[string]string{"bad": "/mcp", "good": "/oauth//token"} {
			r := prepared(http.MethodPost, "https://ref.example.com"+path, "Authorization", "Bearer "+token)
			extra := new(caddyhttp.ExtraLogFields)
			ctx := context.WithValue(r.Context(), caddyhttp.ServerCtxKey, server)
			r = r.WithContext(context.WithValue(ctx, caddyhttp.ExtraLogFieldsCtxKey, extra))
			w := ask(t, h, r, new(backend))
			line := fieldsOf(extra)
			_, rest, _ := strings.Cut(w.Body.String(), `"ref":"`)
			ref, _, _ := strings.Cut(rest, `"`)
			if ref == "" || (strings.Contains(line, "Key:mcp_ref ") && strings.Contains(line, "String:"+ref)) != (server.Logs != nil) {
				t.Errorf("%s, %s: body %s, fields %s", name, path, w.Body, line)
			}
		}
	}
}

// The reference of a session that has ended is in the answer and in the line, not one of the
// request.
func TestReferenceOfASession(t *testing.T) {
	_, h := running(t, sited("session.example.com"))
	in, extra := h.instance, new(caddyhttp.ExtraLogFields)
	r := prepared(http.MethodPost, "https://session.example.com/mcp", "Authorization", "Bearer ended")
	ctx := context.WithValue(r.Context(), caddyhttp.ServerCtxKey, &caddyhttp.Server{Logs: new(caddyhttp.ServerLogConfig)})
	r = r.WithContext(context.WithValue(ctx, caddyhttp.ExtraLogFieldsCtxKey, extra))
	w, ended := httptest.NewRecorder(), oauth.New(oauth.InvalidToken, "").About("k3v9hq2m7c4t8w1z", "This sign-in has ended")
	req := guard.Request{HTTP: r, Target: in.targets[in.policy.Resources[0]], Began: clock.System()}
	in.refusedByGuard(w, r, opened(t, h).guard, req, ended)
	if !strings.Contains(w.Body.String(), `"ref":"k3v9hq2m7c4t8w1z"`) || !strings.Contains(fieldsOf(extra), "String:k3v9hq2m7c4t8w1z") {
		t.Errorf("body %s, fields %s", w.Body, fieldsOf(extra))
	}
}

// fieldsOf prints what only the web server reads otherwise.
func fieldsOf(extra *caddyhttp.ExtraLogFields) string { return fmt.Sprintf("%+v", extra) }

// Fields for an access log that nobody writes are not made.
func TestNoFieldsWithoutAccessLog(t *testing.T) {
	_, h := running(t, sited("quiet.example.com"))
	admitGood(h)
	for _, logs := range []*caddyhttp.ServerLogConfig{nil, {}} {
		r := prepared(http.MethodPost, "https://quiet.example.com/mcp", "Authorization", "Bearer good")
		extra := new(caddyhttp.ExtraLogFields)
		ctx := context.WithValue(r.Context(), caddyhttp.ServerCtxKey, &caddyhttp.Server{Logs: logs})
		ask(t, h, r.WithContext(context.WithValue(ctx, caddyhttp.ExtraLogFieldsCtxKey, extra)), new(backend))
		line := fieldsOf(extra)
		for _, want := range []string{"Key:mcp_client_id ", "String:dcr_1", "Key:mcp_resource ", "String:https://quiet.example.com/mcp"} {
			if strings.Contains(line, want) != (logs != nil) {
				t.Errorf("logs %v: %q", logs != nil, line)
			}
		}
	}
}

// A flood of requests that nobody can decide, or that are refused, is a bounded number of
// lines.
func TestFloodOfRefusalsIsSampled(t *testing.T) {
	_, h := running(t, sited("flood.example.com"))
	admit(h.instance.site, lookupFunc(func(context.Context, string) (*guard.Access, error) { return nil, errors.New("store is gone") }))
	log := logged(h)
	const requests = 20 * linesPerSecond
	for range requests {
		ask(t, h, prepared(http.MethodPost, "https://flood.example.com/mcp?a=b", "Authorization", "Bearer good"), new(backend))
	}
	// The flood may cross a few seconds on a slow machine.
	if n := strings.Count(log.String(), "level=WARN"); n == 0 || n > requests/2 {
		t.Errorf("%d warnings for %d requests", n, requests)
	}
	if n := strings.Count(log.String(), "handled request"); n == 0 || n > requests/2 {
		t.Errorf("%d lines for %d requests", n, requests)
	}
}

// A stream that the guard ends is complete as it is; whatever else breaks an answer goes
// on breaking it.
func TestCutStreamsEndProperly(t *testing.T) {
	_, h := running(t, sited("cut.example.com"))
	admitGood(h)
	for name, end := range map[string]func(){
		"cut":      func() { opened(t, h).guard.Streams().End([32]byte{}) },
		"hung up ": func() {},
	} {
		proxy := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			end()
			if name == "cut" {
				<-r.Context().Done()
			}
			panic(http.ErrAbortHandler) // as reverse_proxy does
		})
		aborted := func() (aborted bool) {
			defer func() { aborted = recover() == http.ErrAbortHandler }()
			_ = h.ServeHTTP(httptest.NewRecorder(), prepared(http.MethodPost, "https://cut.example.com/mcp", "Authorization", "Bearer good"), proxy)
			return false
		}()
		if aborted != (name != "cut") {
			t.Errorf("%s: aborted %v", name, aborted)
		}
	}
}

// Early data may be a replay, and the callback's GET takes a login to its end.
func TestSec_J10_EarlyDataAtEndpoints(t *testing.T) {
	_, h := running(t, sited("early.example.com"))
	for _, path := range []string{"/oauth/token", "/oauth/callback?code=x&state=y", "/oauth/authorize"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			w := ask(t, h, prepared(method, "https://early.example.com"+path, "Early-Data", "1"), nil)
			if w.Code != oauth.ErrEarlyData.Status {
				t.Errorf("%s %s: status %d", method, path, w.Code)
			}
		}
	}
	w := ask(t, h, prepared(http.MethodGet, "https://early.example.com/.well-known/oauth-authorization-server", "Early-Data", "1"), nil)
	if w.Code != http.StatusOK {
		t.Errorf("a document, which has no effect: status %d", w.Code)
	}
}

// Trailers go through where no header says who a person is: they are none of ours then.
// One such header is enough to drop them.
func TestTrailersOfUnguardedRequests(t *testing.T) {
	for words, kept := range map[string]bool{"": true, "forward {\nheader X-User sub\n}\n": false} {
		host := fmt.Sprintf("trailer%t.example.com", kept)
		_, h := running(t, "resource https://"+host+"/mcp {\n"+words+"name x\n}\n"+nowhere+"store memory\n")
		next := new(backend)
		r := prepared(http.MethodPost, "https://"+host+"/other")
		r.Trailer = http.Header{"X-Sum": nil}
		ask(t, h, r, next)
		if got := len(next.last.Trailer) > 0; got != kept {
			t.Errorf("with %q trailers are kept: %v", words, got)
		}
	}
}

// originSink keeps events with what their context knows.
type originSink struct{ events []event.Event }

func (s *originSink) Emit(ctx context.Context, e event.Event) {
	s.events = append(s.events, event.Complete(ctx, e))
}

// The first use of a token says from where it came.
func TestFirstUseHasItsOrigin(t *testing.T) {
	_, h := running(t, sited("origin.example.com"))
	sv, sink := opened(t, h), new(originSink)
	h.instance.site.services.Store(&services{vault: sv.vault, state: sv.state, guard: guard.New(guard.Config{
		Grants: knowsGood(h.instance.policy.Resources[0].URL), Mint: mintedForGood, Now: clock.System, Events: sink,
	})})
	r := prepared(http.MethodPost, "https://origin.example.com/mcp", "Authorization", "Bearer good", "User-Agent", "agent/1")
	caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, "192.0.2.7")
	ask(t, h, r, new(backend))
	if len(sink.events) != 1 || sink.events[0].Kind != event.TokenUsed || sink.events[0].Address != "192.0.2.7" || sink.events[0].Agent != "agent/1" {
		t.Errorf("%+v", sink.events)
	}
}
