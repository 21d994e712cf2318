// SPDX-License-Identifier: Apache-2.0

package redis_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/mcpoauth/caddy-mcp-oauth/store/redis"
	"github.com/mcpoauth/caddy-mcp-oauth/store/redis/redistest"
)

// provision reads a Caddyfile and provisions what it says.
func provision(t *testing.T, text string) *redis.Module {
	t.Helper()
	d := caddyfile.NewTestDispenser(text)
	d.Next() // store
	d.Next() // redis
	unm, err := caddyfile.UnmarshalModule(d, "http.mcp_oauth.stores.redis")
	wantNil(t, err)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	m := unm.(*redis.Module)
	wantNil(t, m.Provision(ctx))
	return m
}

// Not parallel: it sets environment variables.
func TestIdentity(t *testing.T) {
	t.Setenv("MCPOAUTH_TEST_REDIS", "rediss://mcp:"+password+"@h:6380/2")
	for text, want := range map[string]string{
		"store redis {env.MCPOAUTH_TEST_REDIS}":                                     "redis h:6380 db 2",
		"store redis redis://:" + password + "@h:6380/2 {\n tls_server_name x\n}":   "redis h:6380 db 2",
		"store redis h:6380,defaultDatabase=2,password=" + password:                 "redis h:6380 db 2",
		"store redis redis://h {\n prefix mcp:\n}":                                  "redis h:6379 prefix mcp:",
		"store redis redis://h {\n prefix mcp_oauth:\n}":                            "redis h:6379",
		"store redis {\n address a:1 b:2\n cluster\n}":                              "redis a:1 b:2 cluster",
		"store redis {\n address a:1 b:2\n sentinel m\n username u\n password p\n}": "redis a:1 b:2 sentinel m",
		"store redis unix:///run/redis.sock":                                        "redis /run/redis.sock",
		"store redis redis://h {\n db 3\n}":                                         "redis h:6379 db 3",
	} {
		m := provision(t, text)
		if got := m.Identity(); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
		out, err := json.Marshal(m)
		wantNil(t, err)
		if !strings.Contains(text, password) && strings.Contains(fmt.Sprintf("%+v %#v %s", m, m, out), password) {
			t.Errorf("%s: the password shows", text)
		}
	}
}

// The words for TLS do what they say, against a real server.
func TestModuleTLS(t *testing.T) {
	t.Parallel()
	server, files := redistest.StartTLS(t)
	e := systemEnv()
	for _, text := range []string{
		fmt.Sprintf("store redis rediss://%s {\n tls_trust_pool file %s\n tls_client_auth %s %s\n tls_server_name %s\n}",
			server.Addr, files.CA, files.Cert, files.Key, redistest.TLSName),
		fmt.Sprintf("store redis %s,ssl=True,sslHost=%s {\n tls_trust_pool file {\n pem_file %s\n}\n tls_client_auth %s %s\n}",
			server.Addr, redistest.TLSName, files.CA, files.Cert, files.Key),
		fmt.Sprintf("store redis {\n address %s\n tls\n tls_trust_pool file %s\n tls_client_auth %s %s\n tls_server_name %s\n prefix other:\n}",
			server.Addr, files.CA, files.Cert, files.Key, redistest.TLSName),
	} {
		s, err := provision(t, text).Open(t.Context(), e)
		wantNil(t, err)
		exercise(t, s.(*redis.Store), e.Now)
		wantNil(t, s.Close())
	}
	absent := provision(t, fmt.Sprintf("store redis rediss://%s {\n tls_trust_pool file %s\n tls_client_auth absent.pem absent.key\n tls_server_name %s\n}",
		server.Addr, files.CA, redistest.TLSName))
	_, err := absent.Open(t.Context(), e)
	wantUnknown(t, err)
	if err == nil || !strings.Contains(err.Error(), "files of tls_client_auth cannot be used") {
		t.Errorf("error is %v", err)
	}
}
