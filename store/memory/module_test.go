// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
)

func parse(t *testing.T, text string) (string, error) {
	t.Helper()
	d := caddyfile.NewTestDispenser(text)
	d.Next() // store
	d.Next() // memory
	m, err := caddyfile.UnmarshalModule(d, "http.mcp_oauth.stores.memory")
	if err != nil {
		return "", err
	}
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), nil
}

func TestCaddyfile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, text, want, err string }{
		{"plain", "store memory", `{}`, ""},
		{"empty block", "store memory {\n}", `{}`, ""},
		{"max_records", "store memory {\n max_records 5\n}", `{"max_records":5}`, ""},
		{"argument", "store memory big", "", `unexpected "big": write store memory { ... }`},
		{"unknown", "store memory {\n size 5\n}", "", `unrecognized subdirective "size" in store memory: the words here are max_records`},
		{"missing", "store memory {\n max_records\n}", "", "max_records has no value: write max_records <n>"},
		{"extra", "store memory {\n max_records 5 6\n}", "", "max_records has 2 values and takes one: write max_records <n>"},
		{"duplicate", "store memory {\n max_records 5\n max_records 5\n}", "", "max_records is written twice in store memory: keep one line"},
		{"not a number", "store memory {\n max_records many\n}", "", `"many" is not a number of records: write a whole number`},
		{"a placeholder", "store memory {\n max_records {env.N}\n}", `{"max_records":"{env.N}"}`, ""},
		{"placeholders within", "store memory {\n max_records 1{file./n}{env.N}\n}", `{"max_records":"1{file./n}{env.N}"}`, ""},
		{"another placeholder", "store memory {\n max_records {http.request.host}\n}", "", "the only placeholders here"},
		{"empty", "store memory {\n max_records \"\"\n}", "", "at least 1"},
		{"zero", "store memory {\n max_records 0\n}", "", "at least 1"},
		{"negative", "store memory {\n max_records -1\n}", "", "at least 1"},
		{"block", "store memory {\n max_records 5 {\n x\n }\n}", "", "max_records is not written like this: write max_records <n>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(t, test.text)
			if test.err == "" {
				if err != nil || got != test.want {
					t.Fatalf("%s, %v, want %s", got, err, test.want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.err) || !strings.Contains(err.Error(), "Testfile:") {
				t.Fatalf("error is %v, want %q with a position", err, test.err)
			}
		})
	}
}

// Not parallel: it sets environment variables.
func TestProvision(t *testing.T) {
	file := filepath.Join(t.TempDir(), "n")
	if err := os.WriteFile(file, []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MCPOAUTH_TEST_ONE", "1")
	t.Setenv("MCPOAUTH_TEST_MANY", "many")
	t.Setenv("MCPOAUTH_TEST_EMPTY", "")
	for raw, want := range map[string]int{
		`1`: 1, `"2"`: 2, `"{env.MCPOAUTH_TEST_ONE}"`: 1, `"{file.` + file + `}"`: 2, `"{env.MCPOAUTH_TEST_ONE}{file.` + file + `}"`: 12,
	} {
		m := provision(t, raw, "")
		if got := capacity(t, m, want+1); got != want {
			t.Errorf("%s: the store takes %d records, want %d", raw, got, want)
		}
		if out, err := json.Marshal(m); err != nil || strings.Contains(raw, "{") && !strings.Contains(string(out), raw) {
			t.Errorf("%s is shown as %s, %v", raw, out, err)
		}
	}
	if got := capacity(t, provision(t, `""`, ""), 100); got != 100 {
		t.Errorf("by default the store takes %d records", got)
	}
	const number = "store memory: max_records: %q is not a number of records: write a whole number of at least 1"
	for raw, want := range map[string]string{
		`0`: fmt.Sprintf(number, "0"), `-1`: fmt.Sprintf(number, "-1"), `1.5`: fmt.Sprintf(number, "1.5"),
		`"{env.MCPOAUTH_TEST_MANY}"`:  fmt.Sprintf(number, "many"),
		`"{env.MCPOAUTH_TEST_EMPTY}"`: "store memory: max_records: ",
		`"{env.MCPOAUTH_TEST_UNSET}"`: "set the environment variable",
		`"{http.request.host}"`:       "the only placeholders here",
	} {
		provision(t, raw, want)
	}
}

// provision loads max_records from JSON; want is the refusal, or empty.
func provision(t *testing.T, raw, want string) *memory.Module {
	t.Helper()
	m := new(memory.Module)
	if err := json.Unmarshal([]byte(`{"max_records":`+raw+`}`), m); err != nil {
		t.Fatal(err)
	}
	err := m.Provision(caddy.Context{})
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Fatalf("%s: %v, want %q", raw, err, want)
	}
	return m
}

// capacity creates up to n records and returns how many the store took.
func capacity(t *testing.T, m *memory.Module, n int) int {
	t.Helper()
	s, err := m.Open(t.Context(), store.Env{Now: clock.System})
	if err != nil {
		t.Fatal(err)
	}
	hour := clock.System().Add(time.Hour)
	for i := range n {
		if err := s.Create(t.Context(), record(i, hour)); err != nil {
			return i
		}
	}
	return n
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	if (&memory.Module{MaxRecords: "1"}).Identity() != new(memory.Module).Identity() {
		t.Error("two configurations of the one memory store have two identities")
	}
}

func TestMasterKey(t *testing.T) {
	t.Parallel()
	random := bytes.Repeat([]byte{1, 2, 3, 4}, 8)
	key, err := new(memory.Module).MasterKey(t.Context(), nil, store.Env{Rand: bytes.NewReader(random)})
	if err != nil || !bytes.Equal(key, random) {
		t.Errorf("key %x, %v", key, err)
	}
	_, err = new(memory.Module).MasterKey(t.Context(), nil, store.Env{Rand: bytes.NewReader(random[1:])})
	if err == nil {
		t.Error("a short read made a key")
	}
}
