// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azuretest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

// tables counts the tables of this process, so that each has a name of its own.
var tables atomic.Int64

// azurite returns the configuration of a new table in an emulator.
func azurite(endpoint string) Config {
	return Config{
		Endpoint: endpoint, Account: azuretest.Account, Key: secret.New(azuretest.Key),
		Table: fmt.Sprintf("table%d", tables.Add(1)),
	}
}

func TestSuite(t *testing.T) {
	endpoint := azuretest.Azurite(t)
	opened := func(t *testing.T, c Config, env store.Env) store.Store {
		s, err := Open(t.Context(), c, env)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	storetest.Run(t, func(t *testing.T, env store.Env) store.Store {
		return opened(t, azurite(endpoint), env)
	}, storetest.OpenSecond(func(t *testing.T, first store.Store, env store.Env) store.Store {
		return opened(t, first.(*Store).config, env)
	}))
}
