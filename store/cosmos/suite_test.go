// SPDX-License-Identifier: Apache-2.0

package cosmos

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azuretest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

const someKey = "c29tZS1zZWNyZXQta2V5"

// containers counts the containers of this process, so that each has a name of its own.
var containers atomic.Int64

func config(endpoint string) Config {
	return Config{
		Endpoint: strings.TrimSuffix(endpoint, "/"), Key: secret.New(someKey),
		Database: "tests", Container: fmt.Sprintf("container%d", containers.Add(1)),
	}
}

func TestSuite(t *testing.T) {
	service := azuretest.Cosmos(t)
	opened := func(t *testing.T, c Config, env store.Env) store.Store {
		s, err := Open(t.Context(), c, env)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	storetest.Run(t, func(t *testing.T, env store.Env) store.Store {
		return opened(t, config(service.URL), env)
	}, storetest.OpenSecond(func(t *testing.T, first store.Store, env store.Env) store.Store {
		return opened(t, first.(*Store).config, env)
	}))
}
