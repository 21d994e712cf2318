// SPDX-License-Identifier: Apache-2.0

package sqlserver

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/microsoft/go-mssqldb/msdsn"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// portal is a connection string as the Azure portal shows it.
const portal = `Server=tcp:x.database.windows.net,1433;Initial Catalog=mcp;Persist Security Info=False;User ID=u;Password="p;w""x";` +
	`MultipleActiveResultSets=False;Encrypt=True;TrustServerCertificate=False;Connection Timeout=30;`

func TestCheckDSN(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		portal,
		"sqlserver://u:p@db.example.com?database=mcp",
		"sqlserver://u:p%40w@db.example.com:1434/instance?database=mcp&encrypt=strict&app+name=x",
		"server=db.example.com;user id=u;password=p;database=mcp;encrypt=disable",
		"odbc:server=db.example.com;user id=u;password={p;w};database=mcp",
		`Server=x.database.windows.net;Database=mcp;Authentication="Active Directory Default";`,
		"sqlserver://x.database.windows.net?database=mcp&fedauth=ActiveDirectoryWorkloadIdentity",
	} {
		if err := CheckDSN(dsn); err != nil {
			t.Errorf("%s: %v", dsn, err)
		}
	}
	for dsn, want := range map[string]string{
		"":     "cannot be read",
		"hush": "cannot be read",
		"server=db.example.com;database=mcp;password=p;hush":                      "cannot be read",
		"sqlserver://u:hush@db.example.com":                                       "names no database",
		"sqlserver://u:hush@db.example.com:x?database=mcp":                        "cannot be read",
		"sqlserver://u:hush@db.example.com?database=mcp&encrypt=hush":             "cannot be read",
		"sqlserver://u:hush@db.example.com?database=mcp&ssl=true":                 `"ssl" in the dsn would be ignored by the driver: remove it; the words are server`,
		"sqlserver://u:hush@db.example.com?database=mcp&log=63":                   `"log" in the dsn would be ignored`,
		"sqlserver://u:hush@db.example.com?database=mcp&database=b":               "cannot be read",
		"server=db.example.com;database=mcp;integrated security=SSPI":             `"integrated security" in the dsn would be ignored`,
		"server=db.example.com;database=mcp;trusted_connection=yes":               `"trusted_connection" in the dsn would be ignored`,
		"server=db.example.com;database=mcp;multipleactiveresultsets=true":        "multipleactiveresultsets in the dsn can only be false",
		"server=db.example.com;database=mcp;authentication=hush":                  "authentication in the dsn is none of active directory default",
		"server=db.example.com;database=mcp;applicationintent=ReadOnly":           "asks for a replica",
		"server=x;database=mcp;authentication=active directory service principal": "cannot be read",
	} {
		err := CheckDSN(dsn)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", dsn, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error repeats what may be a password: %v", dsn, err)
		}
	}
}

// What the driver gets is what was written, with what was left out made safe.
func TestSec_N07_EncryptionIsTheDefault(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]msdsn.Encryption{
		"sqlserver://u:p@db.example.com?database=mcp":                                      msdsn.EncryptionRequired,
		"server=db.example.com;user id=u;password=p;database=mcp":                          msdsn.EncryptionRequired,
		"sqlserver://u:p@db.example.com?database=mcp&encrypt=strict":                       msdsn.EncryptionStrict,
		"sqlserver://u:p@db.example.com?database=mcp&encrypt=disable":                      msdsn.EncryptionDisabled,
		`Server=db.example.com;Database=mcp;Authentication="Active Directory Default";`:    msdsn.EncryptionRequired,
		"sqlserver://u:p@db.example.com?database=mcp&encrypt=true&hostnameincertificate=x": msdsn.EncryptionRequired,
	} {
		config := driverConfig(t, dsn)
		if config.Encryption != want {
			t.Errorf("%s: encryption %d, want %d", dsn, config.Encryption, want)
		}
		if want != msdsn.EncryptionDisabled && (config.TrustServerCertificate || config.TLSConfig.InsecureSkipVerify) {
			t.Errorf("%s: the certificate is not checked", dsn)
		}
	}
}

func driverConfig(t *testing.T, text string) msdsn.Config {
	t.Helper()
	d, err := parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	config, err := msdsn.Parse(d.text())
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return config
}

func TestDriverGetsWhatWasWritten(t *testing.T) {
	t.Parallel()
	c := driverConfig(t, portal)
	if c.Host != "x.database.windows.net" || c.Port != 1433 || c.Database != "mcp" || c.User != "u" || c.Password != `p;w"x` {
		t.Errorf("%s:%d/%s as %s with %q", c.Host, c.Port, c.Database, c.User, c.Password)
	}
	c = driverConfig(t, "sqlserver://u:p%40w@db.example.com:1434/instance?database=mcp")
	if c.Host != "db.example.com" || c.Port != 1434 || c.Instance != "instance" || c.Password != "p@w" {
		t.Errorf("%s:%d\\%s with %q", c.Host, c.Port, c.Instance, c.Password)
	}
	for method, want := range authentications {
		dsn := "server=x;database=mcp;user id=a@b;password=c;authentication=" + method
		if got := driverConfig(t, dsn).Parameters["fedauth"]; got != want {
			t.Errorf("%s became %q, want %q", method, got, want)
		}
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		portal: "sqlserver x.database.windows.net:1433/mcp mcp_oauth_*",
		"sqlserver://u:hush@DB.example.com/Inst?database=mcp":                    `sqlserver db.example.com\inst/mcp mcp_oauth_*`,
		"server=db.example.com;user id=other;password=hush;database=mcp":         "sqlserver db.example.com/mcp mcp_oauth_*",
		"server=db.example.com;database=mcp;authentication=active directory msi": "sqlserver db.example.com/mcp mcp_oauth_*",
	} {
		if got := identity(dsn, "mcp_oauth_"); got != want {
			t.Errorf("%s: %q, want %q", dsn, got, want)
		}
	}
}

// The log says what was not tried, and what is not protected.
func TestWarnings(t *testing.T) {
	t.Parallel()
	const untried, plain, trusting = "has not run this store against a real SQL Server", "is not encrypted", "certificate of SQL Server is not checked"
	for dsn, want := range map[string][]string{
		"server=x;database=mcp":                             {untried},
		"server=x;database=mcp;encrypt=disable":             {untried, plain},
		"server=x;database=mcp;encrypt=false":               {untried, plain},
		"server=x;database=mcp;trustservercertificate=true": {untried, trusting},
	} {
		d, err := parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		d.warn(t.Context(), store.Env{Log: slog.New(slog.NewTextHandler(&log, nil))})
		for _, w := range want {
			if !strings.Contains(log.String(), w) {
				t.Errorf("%s: no %q in\n%s", dsn, w, log.String())
			}
		}
		if n := strings.Count(log.String(), "WARN"); n != len(want) {
			t.Errorf("%s: %d warnings, want %d", dsn, n, len(want))
		}
	}
}
