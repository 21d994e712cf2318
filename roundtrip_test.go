// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestRoundTrip adapts every golden Caddyfile that is accepted, loads the JSON and
// writes it again: nothing may be lost, added or spelled in another way.
func TestRoundTrip(t *testing.T) {
	handlers := 0
	goldens(t, "adapt", func(t *testing.T, input []byte) string {
		out, err := adapt(t, input)
		if err != nil {
			return err.Error()
		}
		for _, raw := range handlersIn(t, out) {
			handlers++
			var h Handler
			if err := caddy.StrictUnmarshalJSON(raw, &h); err != nil {
				t.Fatal(err)
			}
			again, err := json.Marshal(h)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(decode(t, raw), decode(t, again)) {
				t.Errorf("adapted:\n%s\nwritten again:\n%s", raw, again)
			}
		}
		return indent(t, out)
	})
	if handlers < 10 {
		t.Errorf("only %d handlers in the goldens", handlers)
	}
}

// TestDurationInJSON accepts what Caddy accepts in its own configuration.
func TestDurationInJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Duration{
		`"90s"`: "90s", `"30d"`: "30d", `"{env.LIFE}"`: "{env.LIFE}", `3600000000000`: "1h0m0s", `0`: "0s",
	} {
		var d Duration
		if err := json.Unmarshal([]byte(in), &d); err != nil || d != want {
			t.Errorf("%s: %q, %v; want %q", in, d, err, want)
		}
	}
	for _, in := range []string{`true`, `{}`, `1.5`, `["1h"]`} {
		var d Duration
		if err := json.Unmarshal([]byte(in), &d); err == nil {
			t.Errorf("%s was accepted as %q", in, d)
		}
	}
}

// TestUnknownMember wants the loader to refuse what the structures do not have.
func TestUnknownMember(t *testing.T) {
	t.Parallel()
	var h Handler
	if err := caddy.StrictUnmarshalJSON([]byte(`{"isuer":"https://mcp.example.com"}`), &h); err == nil {
		t.Error("an unknown member was accepted")
	}
}

// handlersIn returns the configurations of all mcp_oauth handlers, without the member
// that names the module, which Caddy takes out before it loads one.
func handlersIn(t *testing.T, config []byte) []json.RawMessage {
	t.Helper()
	var found []json.RawMessage
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			if v["handler"] == "mcp_oauth" {
				delete(v, "handler")
				raw, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, raw)
				return
			}
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(decode(t, config))
	return found
}

func decode(t *testing.T, raw []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
