// SPDX-License-Identifier: Apache-2.0

package redis_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
)

const password = "correct-horse"

// aclUser has the rights that docs/stores.md lists.
const aclUser = "user mcp on >" + password + " ~mcp_oauth:* resetchannels &mcp_oauth:* -@all +get +set +del +eval +evalsha " +
	"+zadd +zrem +zrangebylex +zrangebyscore +pttl +pexpire +publish +subscribe +ping +time +hello +select +info +config|get"

func wantRemedy(t *testing.T, o redis.Options, want string) {
	t.Helper()
	s, err := redis.Open(t.Context(), o, systemEnv())
	if err == nil {
		s.Close()
	}
	wantUnknown(t, err)
	if err == nil {
		return
	}
	if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), password) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func address(a string) redis.Options { return redis.Options{Addresses: []string{a}} }

func TestBadAddress(t *testing.T) {
	t.Parallel()
	wantRemedy(t, address(caddyrun.FreeAddr(t)), "nothing answers at the address")
	wantRemedy(t, address("host.invalid:6379"), "nothing answers at the address")
	wantRemedy(t, address("/run/no/such/redis.sock"), "nothing answers at the address")
	nobody := address(caddyrun.FreeAddr(t))
	nobody.Sentinel = "mymaster"
	wantRemedy(t, nobody, "no Sentinel at these addresses knows the master")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	wantNil(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			c.Close()
		}
	}()
	wantRemedy(t, address(l.Addr().String()), "does not speak the protocol of Redis")
}

func TestBadCredentials(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "requirepass "+password, aclUser,
		"user weak on >"+password+" ~* &* +@all -@write", "user other on >"+password+" ~other:* &* +@all")
	with := func(name, pass string) redis.Options {
		o := address(server.Addr)
		o.Username, o.Password = name, secret.New(pass)
		return o
	}
	wantRemedy(t, with("", ""), "asks for a password: set password")
	wantRemedy(t, with("", "wrong"), "correct username and password")
	wantRemedy(t, with("nobody", password), "correct username and password")
	wantRemedy(t, with("weak", password), "lacks rights: give it what docs/stores.md lists")
	wantRemedy(t, with("other", password), "lacks rights: give it what docs/stores.md lists")
}

func TestACLUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "requirepass "+password, aclUser)
	e := systemEnv()
	o := address(server.Addr)
	o.Username, o.Password, o.Prefix = "mcp", secret.New(password), redis.DefaultPrefix
	s := openStore(t, o, e)
	defer s.Close()
	exercise(t, s, e.Now)
}

// In a cluster the client also asks which node has what.
func TestACLUserOfCluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.StartCluster(t, aclUser+" +cluster|slots +command")
	e := systemEnv()
	o := address(nodes[0].Addr)
	o.Cluster, o.Username, o.Password, o.Prefix = true, "mcp", secret.New(password), redis.DefaultPrefix
	s := openStore(t, o, e)
	defer s.Close()
	exercise(t, s, e.Now)
}

func TestBadDatabase(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "databases 2")
	o := address(server.Addr)
	o.DB = 2
	wantRemedy(t, o, "no such database: correct db")
	o.DB = 1
	s := openStore(t, o, systemEnv())
	defer s.Close()
	if n := server.Client(t).DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("database 0 has %d keys", n)
	}
}

func TestBadMode(t *testing.T) {
	t.Parallel()
	server, nodes := redistest.Start(t), redistest.StartCluster(t)
	o := address(server.Addr)
	o.Cluster = true
	wantRemedy(t, o, "not a cluster: remove the word cluster")
	// Which node has the key of the layout depends on the prefix.
	for _, n := range nodes {
		o := address(n.Addr)
		s, err := redis.Open(t.Context(), o, systemEnv())
		if err == nil {
			s.Close()
			continue
		}
		wantRemedy(t, o, "belongs to a cluster: add the word cluster")
	}
	wrong := address(redistest.StartSentinel(t).Sentinel.Addr)
	wrong.Sentinel = "othermaster"
	wantRemedy(t, wrong, "sentinel names the master as they do")
}

func TestBadServer(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t)
	host, port, _ := net.SplitHostPort(primary.Addr)
	replica := redistest.Start(t, "replicaof "+host+" "+port)
	wantRemedy(t, address(replica.Addr), "is a replica, which cannot write")
	full := redistest.Start(t, "maxmemory 1mb", "maxmemory-policy noeviction")
	wantNil(t, full.Client(t).ConfigSet(t.Context(), "maxmemory", "1").Err())
	wantRemedy(t, address(full.Addr), "the memory of the server is full")
}

func TestNewerLayout(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	wantNil(t, m.Set(redis.DefaultPrefix+"layout", "2"))
	wantRemedy(t, address(m.Addr()), "newer version of this module")
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server, files := redistest.StartTLS(t)
	pem, err := os.ReadFile(files.CA)
	wantNil(t, err)
	ca := x509.NewCertPool()
	ca.AppendCertsFromPEM(pem)
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	wantNil(t, err)
	with := func(c *tls.Config) redis.Options {
		o := address(server.Addr)
		o.TLS = c
		return o
	}
	good := &tls.Config{RootCAs: ca, ServerName: redistest.TLSName, Certificates: []tls.Certificate{pair}}
	e := systemEnv()
	s := openStore(t, with(good), e)
	defer s.Close()
	exercise(t, s, e.Now)

	wantRemedy(t, with(&tls.Config{ServerName: redistest.TLSName, Certificates: good.Certificates}), "name that authority with tls_trust_pool file <pem>")
	wantRemedy(t, with(&tls.Config{RootCAs: ca, Certificates: good.Certificates}), "write the name with tls_server_name")
	wantRemedy(t, with(&tls.Config{RootCAs: ca, ServerName: redistest.TLSName}), "set tls_client_auth <cert> <key>")
	wantRemedy(t, with(nil), "write tls if the port wants it")
	plain := address(redistest.Start(t).Addr)
	plain.TLS = good
	wantRemedy(t, plain, "remove tls if the port does not speak TLS")
}

// Whoever may evict is told so, once, with the remedy.
func TestEvictionWarning(t *testing.T) {
	t.Parallel()
	for lines, want := range map[string]string{
		"maxmemory-policy noeviction":                                                        "",
		"maxmemory-policy volatile-lru":                                                      "set its maxmemory-policy to noeviction",
		"maxmemory-policy allkeys-lru\nrename-command CONFIG \"\"":                           "maxmemory_policy=allkeys-lru",
		"maxmemory-policy noeviction\nrename-command CONFIG \"\"":                            "",
		"maxmemory-policy allkeys-lru\nrename-command CONFIG \"\"\nrename-command INFO \"\"": "could not be found out",
	} {
		t.Run(lines, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			e := systemEnv()
			e.Log = slog.New(slog.NewTextHandler(&log, nil))
			s := openStore(t, address(redistest.Start(t, strings.Split(lines, "\n")...).Addr), e)
			defer s.Close()
			if got := log.String(); want == "" && got != "" || !strings.Contains(got, want) {
				t.Errorf("log %q, want %q", got, want)
			}
		})
	}
}
