// SPDX-License-Identifier: Apache-2.0

package memory_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

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
		{"argument", "store memory big", "", "wrong argument count"},
		{"unknown", "store memory {\n size 5\n}", "", `unrecognized option "size"`},
		{"missing", "store memory {\n max_records\n}", "", "wrong argument count"},
		{"extra", "store memory {\n max_records 5 6\n}", "", "wrong argument count"},
		{"duplicate", "store memory {\n max_records 5\n max_records 5\n}", "", "already set"},
		{"not a number", "store memory {\n max_records many\n}", "", `whole number, not "many"`},
		{"a placeholder", "store memory {\n max_records {env.N}\n}", "", "whole number"},
		{"zero", "store memory {\n max_records 0\n}", "", "at least 1"},
		{"negative", "store memory {\n max_records -1\n}", "", "at least 1"},
		{"block", "store memory {\n max_records 5 {\n x\n }\n}", "", "no block"},
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

func TestValidate(t *testing.T) {
	t.Parallel()
	for n, valid := range map[int]bool{0: true, 1: true, 200_000: true, -1: false} {
		if err := (&memory.Module{MaxRecords: n}).Validate(); (err == nil) != valid {
			t.Errorf("max_records %d: %v", n, err)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	m := &memory.Module{MaxRecords: 1}
	s, err := m.Open(t.Context(), store.Env{Now: clock.System})
	if err != nil {
		t.Fatal(err)
	}
	hour := clock.System().Add(time.Hour)
	if err := s.Create(t.Context(), record(1, hour)); err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), record(2, hour)); err == nil {
		t.Error("max_records does not reach the store")
	}
	if m.Identity() != new(memory.Module).Identity() {
		t.Error("two configurations of the one memory store have two identities")
	}
}

func TestMasterKey(t *testing.T) {
	t.Parallel()
	random := bytes.Repeat([]byte{1, 2, 3, 4}, 8)
	key, err := new(memory.Module).MasterKey(t.Context(), store.Env{Rand: bytes.NewReader(random)})
	if err != nil || !bytes.Equal(key, random) {
		t.Errorf("key %x, %v", key, err)
	}
	_, err = new(memory.Module).MasterKey(t.Context(), store.Env{Rand: bytes.NewReader(random[1:])})
	if err == nil {
		t.Error("a short read made a key")
	}
}
