// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// openTime bounds Open: the first token of a managed identity takes a while.
const openTime = 15 * time.Second

// Open opens the table, and makes it where it is absent and the rights allow that. Errors
// say what to do and contain no secret.
func Open(ctx context.Context, c Config, env store.Env) (*Store, error) {
	s, err := open(ctx, c, env, azure.ClientOptions())
	if err != nil {
		return nil, fmt.Errorf("opening azure table %s: %w", c.identity(), err)
	}
	return s, nil
}

func open(ctx context.Context, c Config, env store.Env, o azcore.ClientOptions) (*Store, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	var name [16]byte
	if _, err := io.ReadFull(env.Rand, name[:]); err != nil {
		return nil, fmt.Errorf("reading randomness: %w", err)
	}
	service, err := connect(c, o)
	if err != nil {
		return nil, err
	}
	s := &Store{
		options: o, config: c, env: env, table: service.NewClient(c.Table),
		owner: hex.EncodeToString(name[:]), sweeping: make(chan lease, 1),
	}
	s.sweeping <- lease{}
	if err := s.prepare(ctx); err != nil {
		azure.Release(o)
		return nil, err
	}
	if c.cosmos() && env.Log != nil {
		env.Log.Warn("the consistency of Cosmos DB for Table cannot be read from here: the account must have one write region, and strong or bounded staleness consistency, or revoked tokens may go on working",
			"store", c.identity())
	}
	return s, nil
}

// connect makes the client of the service. It dials nothing.
func connect(c Config, o azcore.ClientOptions) (*aztables.ServiceClient, error) {
	options := &aztables.ClientOptions{ClientOptions: o}
	switch {
	case c.Identity != "":
		options.Cloud = cloudOf(c.Endpoint)
		credential, err := azure.Credential(c.Identity)
		if err != nil {
			return nil, err
		}
		return checked(aztables.NewServiceClient(c.Endpoint, credential, options))
	case c.Signature.Reveal() != "":
		return checked(aztables.NewServiceClientWithNoCredential(c.Endpoint+"/?"+c.Signature.Reveal(), options))
	}
	key, err := aztables.NewSharedKeyCredential(c.Account, c.Key.Reveal())
	if err != nil {
		return nil, errors.New("the account key is not base64")
	}
	return checked(aztables.NewServiceClientWithSharedKey(c.Endpoint, key, options))
}

// checked keeps what the library says about an address from saying the address.
func checked(client *aztables.ServiceClient, err error) (*aztables.ServiceClient, error) {
	return client, azure.Plain(err)
}

// cloudOf returns the cloud of an address: the audience of a token for Cosmos DB differs.
func cloudOf(endpoint string) cloud.Configuration {
	host, _, _ := strings.Cut(strings.TrimPrefix(endpoint, "https://"), ":")
	switch {
	case strings.HasSuffix(host, ".azure.cn"):
		return cloud.AzureChina
	case strings.HasSuffix(host, ".azure.us"):
		return cloud.AzureGovernment
	}
	return cloud.AzurePublic
}

// prepare makes sure that the table is there.
func (s *Store) prepare(ctx context.Context) error {
	err := s.look(ctx)
	if status, code := azure.Answer(err); status != http.StatusNotFound || code != codeNoTable && code != codeNoEntity {
		return s.failure(err)
	}
	_, err = s.table.CreateTable(ctx, nil)
	switch status, code := azure.Answer(err); {
	case err == nil, status == http.StatusConflict && code == codeTableExists:
		return nil
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		return fmt.Errorf("there is no table %s, and the rights do not suffice to make it: run `az storage table create --name %s`, or give the right to create tables",
			s.config.Table, s.config.Table)
	}
	return s.failure(err)
}

// Ping implements store.Pinger. The time is that of the service's answer, in whole
// seconds.
func (s *Store) Ping(ctx context.Context) (time.Time, error) {
	if s.closed.Load() {
		return time.Time{}, errClosed
	}
	var response *http.Response
	if err := s.look(policy.WithCaptureResponse(ctx, &response)); err != nil {
		return time.Time{}, s.failure(err)
	}
	at, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return time.Time{}, errors.New("the service answered without a date")
	}
	return at.UTC(), nil
}

// Loss implements store.Durable.
func (s *Store) Loss() string {
	if s.config.cosmos() {
		return "When a region fails, Cosmos DB for Table loses what the other regions have not got yet: nothing with strong consistency, with bounded staleness at most its bound."
	}
	return "When a region fails and an account with geo-redundancy (GRS, GZRS) fails over, Azure Table Storage loses the last writes, often some minutes; without a failover to another region it loses none."
}
