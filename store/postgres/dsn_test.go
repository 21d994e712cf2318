// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

func TestCheckDSN(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"postgres://u:p@db.example.com:5432/mcp?sslmode=verify-full",
		"postgresql://u@db.example.com/mcp",
		"postgres://u:p%40w@a.example.com:1,b.example.com:2/mcp?target_session_attrs=read-write",
		"postgres:///mcp?host=/run/postgresql",
		"host=db.example.com dbname=mcp user=u password='p w\\'x' sslmode=disable",
		"host = /run/postgresql dbname = mcp",
		"postgres://u:p@db.example.com/mcp?search_path=auth&connect_timeout=3&application_name=x",
		"postgres://u:p@db.example.com/mcp?default_query_exec_mode=exec",
	} {
		if err := CheckDSN(dsn); err != nil {
			t.Errorf("%s: %v", dsn, err)
		}
	}
	for dsn, want := range map[string]string{
		"":         "cannot be read",
		"postgres": "cannot be read",
		"postgres://u:hush@db.example.com:port/mcp":                    "cannot be read",
		"postgres://u:hu%zzsh@db.example.com/mcp":                      "cannot be read",
		"host=db.example.com dbname='hush":                             "cannot be read",
		"postgres://u:hush@/mcp":                                       "names no host",
		"host=db.example.com password=hush":                            "names no database",
		"postgres://u:hush@db.example.com/":                            "names no database",
		"postgres://u:hush@db.example.com/mcp?sslmode=hush":            "sslmode in the dsn is none of",
		"postgres://u:hush@db.example.com/mcp?ssl=true":                `"ssl" in the dsn is not known: remove it; the words are host`,
		"postgres://u:hush@db.example.com/mcp?connect_timeouts=3":      `"connect_timeouts" in the dsn is not known`,
		"postgres://u:hush@db.example.com/mcp?pool_max_conns=3":        "write max_conns in the block",
		"host=db.example.com dbname=mcp password=hush gssencmode=hush": `"gssencmode" in the dsn is not known`,
		"postgres://u:hush@db.example.com/mcp?target_session_attrs=x":  "cannot be read",
		"postgres://u:hush@db.example.com/mcp?sslrootcert=/absent":     "cannot be read",
	} {
		err := CheckDSN(dsn)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", dsn, err, want)
		}
		if err != nil && strings.Contains(strings.ReplaceAll(err.Error(), "hush@", ""), "hush") {
			t.Errorf("%s: the error repeats what may be a password: %v", dsn, err)
		}
	}
}

// Without sslmode the driver would fall back to plaintext without a word.
func TestSec_N07_TLSIsRequiredByDefault(t *testing.T) {
	t.Parallel()
	for dsn, tls := range map[string]bool{
		"postgres://u:p@db.example.com/mcp":                 true,
		"postgres://u:p@db.example.com/mcp?search_path=a":   true,
		"host=db.example.com dbname=mcp":                    true,
		"postgres://u:p@127.0.0.1,db.example.com/mcp":       true,
		"postgres://u:p@db.example.com/mcp?sslmode=disable": false,
		"postgres://u:p@127.0.0.1/mcp":                      false,
		"host=localhost,::1,/run/x dbname=mcp":              false,
	} {
		config, err := parse(secret.New(dsn))
		if err != nil {
			t.Fatal(err)
		}
		plain := config.TLSConfig == nil
		for _, f := range config.Fallbacks {
			plain = plain || f.TLSConfig == nil
		}
		if plain == tls {
			t.Errorf("%s: may be sent without TLS: %v", dsn, plain)
		}
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"postgres://u:hush@db.example.com/mcp":                            "postgres db.example.com:5432/mcp mcp_oauth_*",
		"host=db.example.com dbname=mcp user=other password=hush":         "postgres db.example.com:5432/mcp mcp_oauth_*",
		"postgres://u:hush@b.example.com:2,a.example.com:5432/mcp":        "postgres a.example.com:5432,b.example.com:2/mcp mcp_oauth_*",
		"postgres://u:hush@db.example.com/mcp?search_path=auth&role=hush": "postgres db.example.com:5432/mcp auth.mcp_oauth_*",
		"postgres:///mcp?host=/run/postgresql":                            "postgres /run/postgresql:5432/mcp mcp_oauth_*",
	} {
		if got := identity(secret.New(dsn), "mcp_oauth_"); got != want {
			t.Errorf("%s: %q, want %q", dsn, got, want)
		}
	}
}
