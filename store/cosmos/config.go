// SPDX-License-Identifier: Apache-2.0

package cosmos

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

// Config says which container, and who this server is to the service: by the key of the
// account or by an identity.
type Config struct {
	// Endpoint is the address of the account, without trailing slash.
	Endpoint string
	// Key is the key of the account.
	Key secret.String
	// Identity is azure.SystemAssigned or the client id of a managed identity.
	Identity string
	// Database and Container name the container.
	Database, Container string
}

// identity names the data.
func (c Config) identity() string { return c.Endpoint + "/" + c.Database + "/" + c.Container }

// The names that a connection string of an account can have.
const (
	fieldEndpoint = "AccountEndpoint"
	fieldKey      = "AccountKey"
)

// parseConnection reads a connection string.
func parseConnection(text string) (Config, error) {
	fields, err := azure.Fields(text, fieldEndpoint, fieldKey)
	if err != nil {
		return Config{}, err
	}
	if fields[fieldEndpoint] == "" || fields[fieldKey] == "" {
		return Config{}, errors.New("it lacks AccountEndpoint or AccountKey: copy the whole connection string from the Azure portal, between quotes")
	}
	c, err := parseEndpoint(fields[fieldEndpoint])
	if err != nil {
		return Config{}, fmt.Errorf("its AccountEndpoint: %w", err)
	}
	c.Key = secret.New(fields[fieldKey])
	return c, azure.CheckKey(fields[fieldKey])
}

// parseEndpoint reads the address of an account.
func parseEndpoint(text string) (Config, error) {
	u, err := azure.Endpoint(text)
	switch {
	case err != nil:
		return Config{}, err
	case u.RawQuery != "" || u.Path != "":
		return Config{}, fmt.Errorf("it has a path or a query: write %s://%s", u.Scheme, u.Host)
	case strings.Contains(u.Host, ".table.cosmos."):
		return Config{}, errors.New("this is the address of Cosmos DB for Table: use store azure_table")
	}
	return Config{Endpoint: u.String()}, nil
}

func checkConnection(text string) error {
	_, err := parseConnection(text)
	return err
}

func checkEndpoint(text string) error {
	_, err := parseEndpoint(text)
	return err
}

// checkName checks the name of a database or container. MUST NOT it contain / \ # ? or
// control characters, end with a space, or be longer than 255 characters (Azure Cosmos DB
// service quotas).
func checkName(name string) error {
	bad := func(r rune) bool { return strings.ContainsRune(`/\#?"`, r) || r < ' ' || r == 0x7f }
	if name == "" || len(name) > 255 || strings.ContainsFunc(name, bad) || strings.TrimSpace(name) != name {
		return fmt.Errorf("%q is not a name: write at most 255 characters, none of them one of / \\ # ? and \", such as mcp-oauth", name)
	}
	return nil
}
