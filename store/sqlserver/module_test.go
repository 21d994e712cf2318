// SPDX-License-Identifier: Apache-2.0

package sqlserver_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/store/sqlserver"
)

func parse(t *testing.T, text string) (string, error) {
	t.Helper()
	d := caddyfile.NewTestDispenser(text)
	d.Next() // store
	d.Next() // sqlserver
	m, err := caddyfile.UnmarshalModule(d, "http.mcp_oauth.stores.sqlserver")
	if err != nil {
		return "", err
	}
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(out), nil
}

const dsn = "sqlserver://u:hush@db.example.com?database=mcp"

func TestCaddyfile(t *testing.T) {
	t.Parallel()
	const block, end = "store sqlserver " + dsn + " {\n", "\n}"
	for _, test := range []struct{ name, text, want, err string }{
		{"dsn alone", "store sqlserver " + dsn, `{"dsn":"` + dsn + `"}`, ""},
		{"empty block", block + end, `{"dsn":"` + dsn + `"}`, ""},
		{
			"all words", block + "table_prefix auth_\naudit off\nretention 30d\nmax_conns 8" + end,
			`{"dsn":"` + dsn + `","table_prefix":"auth_","audit":"off","retention":"30d","max_conns":8}`, "",
		},
		{"audit alone", block + "audit" + end, `{"dsn":"` + dsn + `","audit":"on"}`, ""},
		{
			"placeholders", "store sqlserver {env.A} {\ntable_prefix {file./p}\naudit {env.B}\nretention {env.C}d\nmax_conns {env.D}" + end,
			`{"dsn":"{env.A}","table_prefix":"{file./p}","audit":"{env.B}","retention":"{env.C}d","max_conns":"{env.D}"}`, "",
		},
		{"no dsn", "store sqlserver", "", "store sqlserver has no <dsn>: write store sqlserver <dsn> { ... }"},
		{"no dsn but a block", "store sqlserver {\nmax_conns 8" + end, "", "store sqlserver has no <dsn>"},
		{"two dsns", "store sqlserver " + dsn + " " + dsn, "", "write store sqlserver <dsn> { ... }"},
		{"bad dsn", "store sqlserver sqlserver://%zz", "", "store sqlserver: the dsn cannot be read"},
		{"unknown word of the dsn", "store sqlserver " + dsn + "&ssl=true", "", `store sqlserver: "ssl" in the dsn would be ignored`},
		{"another placeholder", "store sqlserver {http.request.host}", "", "the only placeholders here"},
		{"unknown", block + "schema auth" + end, "", `unrecognized subdirective "schema" in store sqlserver: the words here are audit, max_conns, retention, table_prefix`},
		{"twice", block + "audit\naudit" + end, "", "audit is written twice in store sqlserver: keep one line"},
		{"audit neither", block + "audit yes" + end, "", `audit: "yes" is neither on nor off: write audit, or audit off`},
		{"audit block", block + "audit {\n}" + end, "", "audit is not written like this: write audit [off]"},
		{"prefix empty", block + `table_prefix ""` + end, "", `table_prefix: "" cannot begin the names of tables`},
		{"prefix missing", block + "table_prefix" + end, "", "table_prefix has no value: write table_prefix <text>"},
		{"prefix upper case", block + "table_prefix Auth" + end, "", `"Auth" cannot begin the names of tables`},
		{"prefix with a digit first", block + "table_prefix 1a" + end, "", "cannot begin the names of tables"},
		{"prefix too long", block + "table_prefix " + strings.Repeat("a", 41) + end, "", "cannot begin the names of tables"},
		{"retention missing", block + "retention" + end, "", "retention has no value: write retention <duration>"},
		{"retention no time", block + "retention long" + end, "", `retention: "long" is not a time that entries can stay: write one of 1h to 3650d`},
		{"retention too short", block + "retention 59m" + end, "", "1h to 3650d"},
		{"retention too long", block + "retention 3651d" + end, "", "1h to 3650d"},
		{"retention negative", block + "retention -1d" + end, "", "1h to 3650d"},
		{"max_conns missing", block + "max_conns" + end, "", "max_conns has no value: write max_conns <n>"},
		{"max_conns no number", block + "max_conns many" + end, "", `max_conns: "many" is not a number of connections: write a whole number of 2 to 1000`},
		{"max_conns one", block + "max_conns 1" + end, "", "2 to 1000"},
		{"max_conns two values", block + "max_conns 2 3" + end, "", "max_conns has 2 values and takes one"},
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

// The name of tables becomes part of SQL.
func TestSec_N06_PrefixIsNoSQL(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"x;drop", "x'", `x"`, "x y", "x.y", "x-y", "ä", "x\x00", "X"} {
		m := &sqlserver.Module{DSN: dsn, TablePrefix: prefix}
		if err := m.Provision(caddy.Context{}); err == nil || !strings.Contains(err.Error(), "cannot begin the names of tables") {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}

// Not parallel: it sets environment variables.
func TestProvision(t *testing.T) {
	t.Setenv("MCPOAUTH_TEST_DSN", dsn)
	t.Setenv("MCPOAUTH_TEST_BAD", "sqlserver://u:hush@db.example.com?database=mcp&ssl=true")
	m := &sqlserver.Module{DSN: "{env.MCPOAUTH_TEST_DSN}", TablePrefix: "auth_"}
	if err := m.Provision(caddy.Context{}); err != nil {
		t.Fatal(err)
	}
	if got, want := m.Identity(), "sqlserver db.example.com/mcp auth_*"; got != want {
		t.Errorf("identity %q, want %q", got, want)
	}
	if out, _ := json.Marshal(m); strings.Contains(string(out), "hush") {
		t.Errorf("the resolved dsn is shown: %s", out)
	}
	for raw, want := range map[string]string{
		`{"dsn":"{env.MCPOAUTH_TEST_BAD}"}`:   `"ssl" in the dsn would be ignored`,
		`{"dsn":"{env.MCPOAUTH_TEST_UNSET}"}`: "set the environment variable",
		`{}`:                                  "write <dsn>",
		`{"dsn":"{env.MCPOAUTH_TEST_DSN}","audit":"no"}`:                            "store sqlserver: audit: ",
		`{"dsn":"{env.MCPOAUTH_TEST_DSN}","retention":"1"}`:                         "store sqlserver: retention: ",
		`{"dsn":"{env.MCPOAUTH_TEST_DSN}","max_conns":1}`:                           "store sqlserver: max_conns: ",
		`{"dsn":"{env.MCPOAUTH_TEST_DSN}","table_prefix":"{system.os}"}`:            "the only placeholders here",
		`{"dsn":"sqlserver://u:hush@db.example.com?database=mcp&encrypt=somewhat"}`: "the dsn cannot be read",
	} {
		bad := new(sqlserver.Module)
		if err := json.Unmarshal([]byte(raw), bad); err != nil {
			t.Fatal(err)
		}
		err := bad.Provision(caddy.Context{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}
