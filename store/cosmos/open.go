// SPDX-License-Identifier: Apache-2.0

package cosmos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// openTime bounds Open: the first token of a managed identity takes a while, and so does
// making a container.
const openTime = 30 * time.Second

// partitionPath is what the container must be partitioned by: each record is a partition,
// so that reading one is the cheapest request there is.
const partitionPath = "/id"

// Open opens the container, and makes it with its database where they are absent and the
// rights allow that. Errors say what to do and contain no secret.
func Open(ctx context.Context, c Config, env store.Env) (*Store, error) {
	s, err := open(ctx, c, env, azure.ClientOptions())
	if err != nil {
		return nil, fmt.Errorf("opening cosmos container %s: %w", c.identity(), err)
	}
	return s, nil
}

func open(ctx context.Context, c Config, env store.Env, o azcore.ClientOptions) (*Store, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	s := &Store{options: o, config: c, env: env, account: &account{}, sweeping: make(chan struct{}, 1)}
	o.PerRetryPolicies = append(slices.Clip(o.PerRetryPolicies), s.account)
	var err error
	if s.client, err = connect(c, o); err != nil {
		return nil, azure.Plain(err)
	}
	if s.container, err = s.client.NewContainer(c.Database, c.Container); err == nil {
		err = s.prepare(ctx)
	}
	if err != nil {
		// A client that failed at first goes on failing for minutes, so it is not kept.
		_ = s.Close() // never fails
		return nil, err
	}
	return s, nil
}

// connect makes the client of the account. It dials nothing.
func connect(c Config, o azcore.ClientOptions) (*azcosmos.Client, error) {
	options := &azcosmos.ClientOptions{ClientOptions: o}
	if c.Identity != "" {
		credential, err := azure.Credential(c.Identity)
		if err != nil {
			return nil, err
		}
		return azcosmos.NewClient(c.Endpoint, credential, options)
	}
	key, err := azcosmos.NewKeyCredential(c.Key.Reveal())
	if err != nil {
		return nil, errors.New("the account key is not base64")
	}
	return azcosmos.NewClientWithKey(c.Endpoint, key, options)
}

// prepare makes sure that the account is fit, and that the container is there and fit.
func (s *Store) prepare(ctx context.Context) error {
	response, err := s.container.Read(ctx, nil)
	if state := s.account.state.Load(); state != nil && state.verdict != nil {
		return state.verdict
	}
	if status, _ := azure.Answer(err); status == http.StatusNotFound && s.account.state.Load() != nil {
		return s.make(ctx)
	}
	if err != nil {
		return s.failure(err)
	}
	if response.ContainerProperties == nil {
		return errors.New("the service says nothing about the container")
	}
	return s.judge(response.ContainerProperties)
}

// make makes the database and the container. Another node may do so at the same time.
func (s *Store) make(ctx context.Context) error {
	_, err := s.client.CreateDatabase(ctx, azcosmos.DatabaseProperties{ID: s.config.Database}, nil)
	if err != nil && !taken(err) {
		return s.cannotMake(err)
	}
	database, err := s.client.NewDatabase(s.config.Database)
	if err != nil {
		return azure.Plain(err)
	}
	never := int32(-1)
	_, err = database.CreateContainer(ctx, azcosmos.ContainerProperties{
		ID:                     s.config.Container,
		PartitionKeyDefinition: azcosmos.PartitionKeyDefinition{Paths: []string{partitionPath}, Version: 2},
		// Items live as long as their own ttl says, and for ever without.
		DefaultTimeToLive: &never,
		// What is never searched need not be indexed: that is most of the cost of a write.
		IndexingPolicy: &azcosmos.IndexingPolicy{
			Automatic: true, IndexingMode: azcosmos.IndexingModeConsistent,
			IncludedPaths: []azcosmos.IncludedPath{{Path: "/*"}},
			ExcludedPaths: []azcosmos.ExcludedPath{{Path: "/value/?"}, {Path: "/version/?"}, {Path: "/ttl/?"}, {Path: `/"_etag"/?`}},
		},
	}, nil)
	if err != nil && !taken(err) {
		return s.cannotMake(err)
	}
	return nil
}

func (s *Store) cannotMake(err error) error {
	if status, _ := azure.Answer(err); status == http.StatusForbidden || status == http.StatusUnauthorized {
		return fmt.Errorf("there is no container %s in the database %s, and the rights do not suffice to make it: %s", s.config.Container, s.config.Database, s.commands())
	}
	return s.failure(err)
}

// judge says why a container cannot be used.
func (s *Store) judge(p *azcosmos.ContainerProperties) error {
	if paths := p.PartitionKeyDefinition.Paths; !slices.Equal(paths, []string{partitionPath}) {
		return fmt.Errorf("the container is partitioned by %s and must be by %s: name another container, which is made, or %s",
			strings.Join(paths, ", "), partitionPath, s.commands())
	}
	if i := p.IndexingPolicy; i != nil && (i.IndexingMode != "" && !strings.EqualFold(string(i.IndexingMode), string(azcosmos.IndexingModeConsistent))) {
		return fmt.Errorf("the indexing mode of the container is %q and must be consistent, or listings would omit sessions: correct its indexing policy", i.IndexingMode)
	}
	if p.DefaultTimeToLive == nil && s.env.Log != nil {
		s.env.Log.Warn("the container has no time to live, so that expired records are removed by this server alone: set it to on (no default), which is -1",
			"store", s.config.identity())
	}
	return nil
}

// Ping implements store.Pinger. The time is that of the service's answer, in whole
// seconds.
func (s *Store) Ping(ctx context.Context) (time.Time, error) {
	if s.closed.Load() {
		return time.Time{}, errClosed
	}
	var response *http.Response
	if _, err := s.container.Read(policy.WithCaptureResponse(ctx, &response), nil); err != nil {
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
	if s.account.strong() {
		return "With strong consistency Cosmos DB loses no acknowledged write, not even when a region fails."
	}
	return "When the write region fails and another takes over, Cosmos DB with bounded staleness loses at most the writes within its bound, five minutes unless it was set lower; within one region it loses none."
}
