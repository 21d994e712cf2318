// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

// Config says which table, and who this server is to the service: by the key of the
// account, by a shared access signature, or by an identity.
type Config struct {
	// Endpoint is the address of the service, without signature and trailing slash.
	Endpoint string
	// Account and Key are the shared key.
	Account string
	Key     secret.String
	// Signature is a shared access signature, the query of a URL.
	Signature secret.String
	// Identity is azure.SystemAssigned or the client id of a managed identity.
	Identity string
	// Table is the name of the table.
	Table string
}

// identity names the data.
func (c Config) identity() string { return c.Endpoint + "/" + c.Table }

// cosmos tells whether the table is in Cosmos DB for Table.
func (c Config) cosmos() bool {
	return strings.Contains(c.Endpoint, ".table.cosmos.") || strings.Contains(c.Endpoint, ".table.cosmosdb.")
}

// The account of the emulators, which is public knowledge.
// https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string
const (
	emulatorAccount  = "devstoreaccount1"
	emulatorKey      = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
	emulatorEndpoint = "http://127.0.0.1:10002/" + emulatorAccount
)

// The names that a connection string of a storage account can have.
const (
	fieldEmulator  = "UseDevelopmentStorage"
	fieldProtocol  = "DefaultEndpointsProtocol"
	fieldAccount   = "AccountName"
	fieldKey       = "AccountKey"
	fieldSuffix    = "EndpointSuffix"
	fieldEndpoint  = "TableEndpoint"
	fieldSignature = "SharedAccessSignature"
)

var knownFields = []string{
	fieldEmulator, fieldProtocol, fieldAccount, fieldKey, fieldSuffix, fieldEndpoint, fieldSignature,
	// Addresses of the account's other services stand beside the one that is used.
	"BlobEndpoint", "FileEndpoint", "QueueEndpoint", "TableSecondaryEndpoint", "BlobSecondaryEndpoint", "QueueSecondaryEndpoint", "FileSecondaryEndpoint",
}

var accountName = regexp.MustCompile(`^[0-9A-Za-z-]{3,63}$`)

// parseConnection reads a connection string.
func parseConnection(text string) (Config, error) {
	fields, err := azure.Fields(text, knownFields...)
	if err != nil {
		return Config{}, err
	}
	if emulator, is := fields[fieldEmulator]; is {
		if !strings.EqualFold(emulator, "true") || len(fields) > 1 {
			return Config{}, errors.New("UseDevelopmentStorage=true stands alone in a connection string: write it so, or leave it out")
		}
		return Config{Endpoint: emulatorEndpoint, Account: emulatorAccount, Key: secret.New(emulatorKey)}, nil
	}
	endpoint, err := endpointOf(fields)
	if err != nil {
		return Config{}, err
	}
	c := Config{Endpoint: endpoint, Account: fields[fieldAccount], Key: secret.New(fields[fieldKey])}
	if signature := fields[fieldSignature]; signature != "" {
		if fields[fieldKey] != "" {
			return Config{}, errors.New("it has both AccountKey and SharedAccessSignature: keep one")
		}
		c.Signature = secret.New(strings.TrimPrefix(signature, "?"))
		return c, checkSignature(c.Signature)
	}
	if c.Account == "" || fields[fieldKey] == "" {
		return Config{}, errors.New("it has neither AccountName and AccountKey nor SharedAccessSignature: copy the whole connection string from the Azure portal, between quotes")
	}
	return c, azure.CheckKey(fields[fieldKey])
}

// endpointOf returns the address that a connection string states or implies.
func endpointOf(fields map[string]string) (string, error) {
	text := fields[fieldEndpoint]
	if text == "" {
		account := fields[fieldAccount]
		if !accountName.MatchString(account) {
			return "", errors.New("it has no TableEndpoint, and its AccountName is none: copy the whole connection string from the Azure portal, between quotes")
		}
		protocol, suffix := fields[fieldProtocol], fields[fieldSuffix]
		if protocol == "" {
			protocol = "https"
		}
		if suffix == "" {
			suffix = "core.windows.net"
		}
		text = protocol + "://" + account + ".table." + suffix
	}
	u, err := azure.Endpoint(text)
	if err != nil {
		return "", fmt.Errorf("its TableEndpoint: %w", err)
	}
	if u.RawQuery != "" {
		return "", errors.New("its TableEndpoint has a query: write the signature as SharedAccessSignature")
	}
	return u.String(), nil
}

// parseEndpoint reads an address, which may carry a shared access signature.
func parseEndpoint(text string) (Config, error) {
	u, err := azure.Endpoint(text)
	if err != nil {
		return Config{}, err
	}
	c := Config{Signature: secret.New(u.RawQuery)}
	if u.RawQuery != "" {
		if err := checkSignature(c.Signature); err != nil {
			return Config{}, err
		}
	}
	u.RawQuery = ""
	c.Endpoint = u.String()
	return c, nil
}

func checkSignature(signature secret.String) error {
	if q, err := url.ParseQuery(signature.Reveal()); err != nil || q.Get("sig") == "" || q.Get("sv") == "" {
		return errors.New("its shared access signature has no sig= or no sv=: copy the whole of it from the Azure portal, between quotes")
	}
	return nil
}

// MUST "Table names may contain only alphanumeric characters … cannot begin with a numeric
// character … must be from 3 to 63 characters long" (Understanding the Table service data
// model). Cosmos DB for Table allows more, and this as well.
var tableName = regexp.MustCompile(`^[A-Za-z][0-9A-Za-z]{2,62}$`)

func checkTable(name string) error {
	if !tableName.MatchString(name) || strings.EqualFold(name, "tables") {
		return fmt.Errorf("%q is not a table name: write 3 to 63 letters and digits, beginning with a letter, such as mcpoauth", name)
	}
	return nil
}

func checkConnection(text string) error {
	_, err := parseConnection(text)
	return err
}

func checkEndpoint(text string) error {
	_, err := parseEndpoint(text)
	return err
}
