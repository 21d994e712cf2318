// SPDX-License-Identifier: Apache-2.0

package cosmos

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

func init() {
	caddy.RegisterModule(Module{})
}

const (
	place            = "store cosmos"
	defaultDatabase  = "mcp-oauth"
	defaultContainer = "state"
)

// Module keeps all state in one container of Azure Cosmos DB for NoSQL. Any number of
// nodes can share it. The account must have one write region, and strong or bounded
// staleness consistency; any other is refused at first use. The state needs an
// encryption_key.
type Module struct {
	// ConnectionString is that of the account, as the Azure portal shows it, with
	// AccountEndpoint and AccountKey. {env.*} and {file.*} may occur anywhere in it, and
	// should, since it is a secret. Either it or Endpoint is required.
	ConnectionString string `json:"connection_string,omitempty"`
	// Endpoint is the address of the account, such as https://NAME.documents.azure.com. It
	// needs ManagedIdentity.
	Endpoint string `json:"endpoint,omitempty"`
	// Database is the name of the database. It is made where it is absent and
	// ConnectionString is used; an identity cannot. Default: mcp-oauth.
	Database string `json:"database,omitempty"`
	// Container is the name of the container, which nothing else should use. It is made
	// like the database. Its partition key must be /id. Default: state.
	Container string `json:"container,omitempty"`
	// ManagedIdentity is who this server is to the service: the client id of a managed
	// identity, or "system_assigned" for that of the machine. Where the variables of
	// workload identity are set, as in Kubernetes, it is that. It needs the role Cosmos DB
	// Built-in Data Contributor. Default: none.
	ManagedIdentity string `json:"managed_identity,omitempty"`

	config Config
}

// CaddyModule returns the Caddy module information.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.mcp_oauth.stores.cosmos",
		New: func() caddy.Module { return new(Module) },
	}
}

// words are the words of the block. What they resolve to has passed its check.
func (m *Module) words() []surface.Word {
	return []surface.Word{
		{Usage: "connection_string <text>", Check: checkConnection, Value: &m.ConnectionString, Resolved: func(v []string) { m.config, _ = parseConnection(v[0]) }},
		{Usage: "endpoint <url>", Check: checkEndpoint, Value: &m.Endpoint, Resolved: func(v []string) { m.config, _ = parseEndpoint(v[0]) }},
		{Usage: "database <name>", Check: checkName, Value: &m.Database, Resolved: func(v []string) { m.config.Database = v[0] }},
		{Usage: "container <name>", Check: checkName, Value: &m.Container, Resolved: func(v []string) { m.config.Container = v[0] }},
		{Usage: "managed_identity [<client id>]", Bare: azure.SystemAssigned, Check: azure.CheckIdentity, Value: &m.ManagedIdentity, Resolved: func(v []string) { m.config.Identity = v[0] }},
	}
}

// check checks which words stand together.
func (m *Module) check() error {
	switch {
	case m.ConnectionString != "" && m.Endpoint != "":
		return errors.New("it has both connection_string and endpoint: keep one")
	case m.ConnectionString == "" && m.Endpoint == "":
		return errors.New("it says nothing about the account: write connection_string <text>, or endpoint <url> and managed_identity")
	case m.ConnectionString != "" && m.ManagedIdentity != "":
		return errors.New("managed_identity belongs to endpoint, not to connection_string: write one of the two")
	case m.Endpoint != "" && m.ManagedIdentity == "":
		return errors.New("endpoint needs managed_identity: write it as well, or use connection_string")
	}
	return nil
}

// Provision resolves the words. It dials nothing.
func (m *Module) Provision(caddy.Context) error {
	m.config = Config{}
	if err := m.check(); err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	if err := surface.Resolve(place, m.words()); err != nil {
		return err
	}
	if m.config.Database == "" {
		m.config.Database = defaultDatabase
	}
	if m.config.Container == "" {
		m.config.Container = defaultContainer
	}
	return nil
}

// Identity implements store.Opener: address, database and container, without the key.
// Provision must have run.
func (m *Module) Identity() string { return m.config.identity() }

// Reopens implements store.Reopener.
func (*Module) Reopens() {}

// Open implements store.Opener.
func (m *Module) Open(ctx context.Context, env store.Env) (store.Store, error) {
	s, err := Open(ctx, m.config, env)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	store cosmos {
//		connection_string <text> | endpoint <url>
//		database          <name>
//		container         <name>
//		managed_identity  [<client id>]
//	}
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if err := surface.Unmarshal(d, place, m.words()); err != nil {
		return err
	}
	if err := m.check(); err != nil {
		return d.Errf("%s: %v", place, err)
	}
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Module)(nil)
	_ caddyfile.Unmarshaler = (*Module)(nil)
	_ store.Opener          = (*Module)(nil)
)
