// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestErrorBuildersCopy(t *testing.T) {
	t.Parallel()
	base := New(InvalidGrant, "No.")
	cause := errors.New("why")
	built := base.WithCause(cause).WithStatus(418).WithRetryAfter(time.Second)
	if base.Status != 400 || base.RetryAfter != 0 || errors.Unwrap(base) != nil {
		t.Errorf("the shared value changed: %+v", base)
	}
	if built.Status != 418 || built.RetryAfter != time.Second || !errors.Is(built, cause) || !strings.Contains(built.Error(), "why") {
		t.Errorf("built %+v", built)
	}
	wrapped := fmt.Errorf("token: %w", built)
	if !errors.Is(wrapped, New(InvalidGrant, "")) || errors.Is(wrapped, New(InvalidClient, "")) || AsError(wrapped) != built || AsError(cause) != nil || AsError(nil) != nil {
		t.Error("errors do not find their code")
	}
	if u := Unavailable(cause); u.Status != 503 || u.Code != TemporarilyUnavailable || !errors.Is(u, cause) || u.RetryAfter <= 0 {
		t.Errorf("Unavailable = %+v", u)
	}
}

func TestErrorStatus(t *testing.T) {
	t.Parallel()
	for code, want := range map[Code]int{
		InvalidRequest: 400, InvalidClient: 401, InvalidGrant: 400, UnauthorizedClient: 400, UnsupportedGrantType: 400, InvalidScope: 400, AccessDenied: 403,
		ServerError: 500, TemporarilyUnavailable: 503, InvalidToken: 401, InsufficientScope: 403, InvalidTarget: 400, InvalidRedirectURI: 400, InvalidClientMetadata: 400, NotFound: 404,
	} {
		if got := New(code, "").Status; got != want {
			t.Errorf("%s: %d, want %d", code, got, want)
		}
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	s := ParseScopes(" b a  b c ")
	if !reflect.DeepEqual(s, Scopes{"b", "a", "c"}) || s.String() != "b a c" || ParseScopes("  ") != nil {
		t.Errorf("parsed %q", s)
	}
	if !s.Has("a") || s.Has("A") || s.Has("") || !s.HasAll(Scopes{"c", "b"}) || s.HasAll(Scopes{"c", "d"}) || !s.HasAll(nil) {
		t.Error("Has or HasAll")
	}
	if u := s.Union(Scopes{"d", "a"}); !reflect.DeepEqual(u, Scopes{"b", "a", "c", "d"}) || len(s) != 3 {
		t.Errorf("union %q", u)
	}
	if w := s.Without("a"); !reflect.DeepEqual(w, Scopes{"b", "c"}) || !reflect.DeepEqual(s, Scopes{"b", "a", "c"}) {
		t.Errorf("without %q, left %q", w, s)
	}
	for scope, want := range map[string]bool{"mcp": true, "api://x/MCP.Access": true, "!#[]~": true, "": false, "a b": false, `a"b`: false, `a\b`: false, "é": false, "a\x7f": false, "\t": false} {
		if ValidScope(scope) != want {
			t.Errorf("ValidScope(%q) = %v", scope, !want)
		}
	}
}
