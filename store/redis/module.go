// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

func init() {
	caddy.RegisterModule(Module{})
}

const place = "store redis"

// Module keeps all state in Redis 6.0 or later, so that any number of nodes share it: one
// server, a group with Sentinel, or a Cluster. It needs encryption_key. Redis must not
// evict: maxmemory-policy noeviction. Every value may contain the placeholders {env.NAME}
// and {file.PATH}.
type Module struct {
	// URL is redis://, rediss:// (TLS) or unix:// with an optional user, password and
	// number of the database, or the connection string that the Azure portal shows.
	// Either it or Address is required.
	URL string `json:"url,omitempty"`
	// Address are host:port of the server, of some nodes of the cluster, or of Sentinels.
	Address []string `json:"address,omitempty"`
	// Cluster tells that the address belongs to a Redis Cluster, or to a service with the
	// OSS cluster policy. Default: false.
	Cluster bool `json:"cluster,omitempty"`
	// Sentinel is the name of the master that the Sentinels at the address watch over.
	// Default: the address is that of the server itself.
	Sentinel string `json:"sentinel,omitempty"`
	// Username is the name of an ACL user. Default: the default user.
	Username string `json:"username,omitempty"`
	// Password is the user's password; write a placeholder. Default: none.
	Password string `json:"password,omitempty"`
	// DB is the number of the database; a cluster has only 0. Default: 0.
	DB caddyhttp.WeakString `json:"db,omitempty"`
	// Prefix begins every key, so that several installations can share a server, and is
	// the pattern for the rights of an ACL user. Default: mcp_oauth:
	Prefix string `json:"prefix,omitempty"`
	// TLS tells to speak TLS and to trust the authorities of the system. Any other word
	// that begins with tls implies it. Default: false.
	TLS bool `json:"tls,omitempty"`
	// TLSTrustPool is where the trusted authorities come from, as in reverse_proxy: a
	// module of the namespace tls.ca_pool.source. Default: those of the system.
	TLSTrustPool json.RawMessage `json:"tls_trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`
	// TLSClientAuth are the files of a certificate and of its key, which are shown to the
	// server. They are read again for every connection. Default: none is shown.
	TLSClientAuth []string `json:"tls_client_auth,omitempty"`
	// TLSServerName is the name that the server's certificate must be for. Default: that
	// of the address.
	TLSServerName string `json:"tls_server_name,omitempty"`

	options Options
}

// CaddyModule returns the Caddy module information.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.mcp_oauth.stores.redis",
		New: func() caddy.Module { return new(Module) },
	}
}

// settings are the words without placeholders.
type settings struct {
	url, sentinel, username, password, db, prefix, serverName string
	addresses, clientAuth                                     []string
}

func (m *Module) urlWord(s *settings) surface.Word {
	return surface.Word{Usage: "[<url>]", Check: checkURL, Value: &m.URL, Resolved: first(&s.url)}
}

// words are the words of the block.
func (m *Module) words(s *settings) []surface.Word {
	return []surface.Word{
		{Usage: "address <host:port>...", Check: CheckAddress, Values: &m.Address, Resolved: func(v []string) { s.addresses = v }},
		{Usage: "cluster", Flag: &m.Cluster},
		{Usage: "sentinel <master>", Check: checkWord, Value: &m.Sentinel, Resolved: first(&s.sentinel)},
		{Usage: "username <name>", Check: checkWord, Value: &m.Username, Resolved: first(&s.username)},
		{Usage: "password <password>", Check: checkText, Value: &m.Password, Resolved: first(&s.password)},
		{Usage: "db <n>", Check: CheckDB, Value: (*string)(&m.DB), Resolved: first(&s.db)},
		{Usage: "prefix <text>", Check: checkWord, Value: &m.Prefix, Resolved: first(&s.prefix)},
		{Usage: "tls", Flag: &m.TLS},
		{Usage: "tls_trust_pool <module> ...", Parse: m.parseTrustPool},
		{Usage: "tls_client_auth <cert> <key>", Check: checkText, Values: &m.TLSClientAuth, Count: 2, Resolved: func(v []string) { s.clientAuth = v }},
		{Usage: "tls_server_name <name>", Check: checkWord, Value: &m.TLSServerName, Resolved: first(&s.serverName)},
	}
}

func first(to *string) func([]string) { return func(v []string) { *to = v[0] } }

// parseTrustPool reads a module within this one, as reverse_proxy does.
func (m *Module) parseTrustPool(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Err("tls_trust_pool has no value: write tls_trust_pool <module> ..., such as tls_trust_pool file ca.pem")
	}
	name := d.Val()
	if _, err := caddy.GetModule("tls.ca_pool.source." + name); err != nil {
		return d.Errf("unrecognized source of authorities %q: write tls_trust_pool <module> ..., such as tls_trust_pool file ca.pem", name)
	}
	unm, err := caddyfile.UnmarshalModule(d, "tls.ca_pool.source."+name)
	if err != nil {
		return err
	}
	m.TLSTrustPool = caddyconfig.JSONModuleObject(unm, "provider", name, nil)
	return nil
}

// Provision resolves the words. It dials nothing.
func (m *Module) Provision(ctx caddy.Context) error {
	var s settings
	if err := surface.Resolve(place, append(m.words(&s), m.urlWord(&s))); err != nil {
		return err
	}
	if err := m.checkTogether(); err != nil {
		return err
	}
	var err error
	if m.options, err = s.options(m); err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	if m.options.TLS == nil || len(m.TLSTrustPool) == 0 {
		return nil
	}
	pool, err := ctx.LoadModule(m, "TLSTrustPool")
	if err != nil {
		return fmt.Errorf("%s: tls_trust_pool: %w", place, err)
	}
	ca, ok := pool.(caddytls.CA)
	if !ok {
		return fmt.Errorf("%s: tls_trust_pool: %T is no source of authorities", place, pool)
	}
	m.options.TLS.RootCAs = ca.CertPool()
	return nil
}

// options puts together what the words and the URL say.
func (s *settings) options(m *Module) (Options, error) {
	t := Target{Addresses: s.addresses, DB: -1}
	if s.url != "" {
		var err error
		if t, err = ParseTarget(s.url); err != nil {
			return Options{}, fmt.Errorf("url: %w", err)
		}
	}
	if err := t.merge(s); err != nil {
		return Options{}, err
	}
	o := Options{
		Addresses: t.Addresses, Cluster: m.Cluster, Sentinel: t.Sentinel,
		Username: t.Username, Password: secret.New(t.Password), DB: max(0, t.DB), Prefix: s.prefix,
	}
	if t.TLS || m.wantsTLS() {
		o.TLS = &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12}
		if len(s.clientAuth) == 2 {
			o.TLS.GetClientCertificate = clientCertificate(s.clientAuth[0], s.clientAuth[1])
		}
	}
	return o, o.check()
}

// merge adds to the target of a URL what the words say. Neither may repeat the other.
func (t *Target) merge(s *settings) error {
	for _, m := range []struct {
		word, value string
		to          *string
	}{
		{"username", s.username, &t.Username},
		{"password", s.password, &t.Password},
		{"sentinel", s.sentinel, &t.Sentinel},
		{"tls_server_name", s.serverName, &t.ServerName},
	} {
		switch {
		case m.value == "":
		case *m.to != "":
			return fmt.Errorf("%s is also in the url: write it in one place", m.word)
		default:
			*m.to = m.value
		}
	}
	if s.db != "" {
		if t.DB >= 0 {
			return errors.New("db is also in the url: write it in one place")
		}
		t.DB, _ = strconv.Atoi(s.db) // CheckDB has seen it
	}
	return nil
}

func (m *Module) wantsTLS() bool {
	return m.TLS || len(m.TLSTrustPool) > 0 || len(m.TLSClientAuth) > 0 || m.TLSServerName != ""
}

// Identity implements store.Opener: where the data is. Provision must have run.
func (m *Module) Identity() string { return m.options.Identity() }

// Reopens implements store.Reopener.
func (*Module) Reopens() {}

// Open implements store.Opener.
func (m *Module) Open(ctx context.Context, env store.Env) (store.Store, error) {
	s, err := Open(ctx, m.options, env)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	store redis [<url>] {
//		address         <host:port>...
//		cluster
//		sentinel        <master>
//		username        <name>
//		password        <password>
//		db              <n>
//		prefix          <text>
//		tls
//		tls_trust_pool  <module> ...
//		tls_client_auth <cert> <key>
//		tls_server_name <name>
//	}
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	var s settings
	if err := surface.UnmarshalValue(d, place, m.urlWord(&s), m.words(&s)); err != nil {
		return err
	}
	if err := m.checkTogether(); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
	_ store.Opener          = (*Module)(nil)
)
