// SPDX-License-Identifier: Apache-2.0

//go:build unix

package postgres_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/postgres"
	"github.com/mcpoauth/caddy-mcp-oauth/store/postgres/postgrestest"
)

func env() store.Env {
	return store.Env{Now: clock.System, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)}
}

// Everything that may be wrong with a database is a sentence with a remedy.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	s.SQL(t, "postgres", `
		CREATE ROLE reader LOGIN PASSWORD 'r'; REVOKE CREATE ON SCHEMA public FROM PUBLIC;
		CREATE TABLE newer_schema_version (version integer PRIMARY KEY); INSERT INTO newer_schema_version VALUES (3);
		CREATE TABLE foreign_schema_version (version integer PRIMARY KEY);`)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	go func() {
		for {
			c, err := silent.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	for _, test := range []struct{ name, dsn, prefix, want string }{
		{"password", s.DSNOf("postgres", "hush", "postgres"), "", "correct the user or the password in the dsn"},
		{"user", s.DSNOf("nobody", "hush", "postgres"), "", "correct the user or the password in the dsn"},
		{"database", s.DSN("absent"), "", "create the database, or correct its name in the dsn"},
		{"nobody listens", "postgres://u:hush@" + caddyrun.FreeAddr(t) + "/mcp", "", "start the server, or correct host and port in the dsn"},
		{"another server", "postgres://u:hush@" + silent.Addr().String() + "/mcp", "", "start the server, or correct host and port in the dsn"},
		{"host", "postgres://u:hush@db.invalid/mcp", "", "correct the host in the dsn"},
		{"TLS", s.DSN("postgres") + "?sslmode=require", "", "write sslmode=disable in the dsn where you trust the network"},
		{"schema", s.DSN("postgres") + "?search_path=absent", "", "the schema, or correct search_path in the dsn"},
		{"rights", s.DSNOf("reader", "r", "postgres"), "", "run the migrations by hand"},
		{"newer schema", s.DSN("postgres"), "newer_", "the tables newer_* have schema version 3 and this server knows 2: update the server on this node"},
		{"rights on a table", s.DSNOf("reader", "r", "postgres"), "foreign_", "let the user of the dsn SELECT"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			st, err := postgres.Open(t.Context(), postgres.Options{DSN: secret.New(test.dsn), Prefix: test.prefix}, env())
			if err == nil {
				t.Fatalf("opened %v", st)
			}
			if st != nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// What is wrong is in the log of a server that runs, and says which store it is about.
func TestCaddyStartsWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	home, addr, database := caddyrun.NewHome(t), caddyrun.FreeAddr(t), caddyrun.FreeAddr(t)
	c := home.Start(t, "{\ndefault_bind 127.0.0.1\nskip_install_trust\n}\nhttp://"+addr+" {\nmcp_oauth {\nresource http://"+addr+
		"/mcp\nencryption_key "+masterKey+"\nstore postgres postgres://u:hush@"+database+"/mcp\nprovider oidc {\nissuer http://127.0.0.1:1\n"+
		"client_id mcp\nclient_secret s3cret\n}\nallow {\nrole x\n}\n}\nreverse_proxy /mcp* 127.0.0.1:1\n}\n")
	c.AwaitOutput(t, "store postgres "+database+"/mcp mcp_oauth_*")
	c.AwaitOutput(t, "start the server, or correct host and port in the dsn")
	if strings.Contains(c.Output(), "hush") {
		t.Errorf("the log has the password\n%s", c.Output())
	}
}

func TestNodesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	prefix := newPrefix()
	var nodes sync.WaitGroup
	for range 8 {
		nodes.Go(func() {
			st, err := postgres.Open(context.Background(), postgres.Options{DSN: secret.New(s.DSN("postgres")), Prefix: prefix}, env())
			if err != nil {
				t.Error(err)
				return
			}
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	nodes.Wait()
	if got := s.SQL(t, "postgres", "SELECT version FROM "+prefix+"schema_version ORDER BY version"); got != "1\n2\n" {
		t.Errorf("versions %q", got)
	}
}

// A database administrator may run the files by hand and give the server no right to
// make tables.
func TestMigrationsByHand(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s.SQL(t, "postgres", string(text))
	}
	s.SQL(t, "postgres", `CREATE ROLE server LOGIN PASSWORD 's'; REVOKE CREATE ON SCHEMA public FROM PUBLIC;
		GRANT SELECT ON mcp_oauth_schema_version TO server;
		GRANT SELECT, INSERT, UPDATE, DELETE ON mcp_oauth_records, mcp_oauth_audit TO server;`)
	st, err := postgres.Open(t.Context(), postgres.Options{DSN: secret.New(s.DSNOf("server", "s", "postgres"))}, env())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	works(t, st)
}

func TestReplicaIsRefusedAndLossIsTold(t *testing.T) {
	t.Parallel()
	s := postgrestest.Start(t)
	st := open(t, s, env())
	if _, ok := st.(store.Durable); ok {
		t.Error("a durable database says that it loses writes")
	}
	st.Close()
	for setting, want := range map[string]string{"synchronous_commit=off": "synchronous_commit", "fsync=off": "fsync"} {
		s.Stop(t)
		s.Run(t, setting)
		st := open(t, s, env())
		d, ok := st.(store.Durable)
		if !ok || !strings.Contains(d.Loss(), want) {
			t.Errorf("%s: the store does not say what it can lose", setting)
		}
		st.Close()
	}
	s.Stop(t)
	s.Standby(t)
	s.Run(t)
	if _, err := postgres.Open(t.Context(), postgres.Options{DSN: secret.New(s.DSN("postgres"))}, env()); err == nil || !strings.Contains(err.Error(), "replica") {
		t.Errorf("a replica: %v", err)
	}
}
