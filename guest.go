// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// guest is a namespace of modules that the handler loads.
type guest struct {
	// word is the word of the configuration, namespace where its modules are.
	word, namespace string
}

var (
	stores    = guest{word: "store", namespace: "http.mcp_oauth.stores"}
	providers = guest{word: "provider", namespace: "http.mcp_oauth.providers"}
)

// defaultStore is what a configuration without a store has.
const defaultStore = `{"module":"file"}`

// check checks the name of a module.
func (g guest) check(module string) error {
	var here []string
	for _, m := range caddy.GetModules(g.namespace) {
		if m.ID.Name() == module {
			return nil
		}
		here = append(here, m.ID.Name())
	}
	return fmt.Errorf("unrecognized %s %q: this build of Caddy has %s; one that another module brings needs one more --with when Caddy is built",
		g.word, module, joined(here))
}

// checkRaw checks the name inside the JSON of a module.
func (g guest) checkRaw(raw json.RawMessage) error {
	var named struct {
		Module string `json:"module"`
	}
	if err := json.Unmarshal(raw, &named); err != nil {
		return fmt.Errorf("%s: %w", g.word, err)
	}
	return g.check(named.Module)
}

// loadStore loads the store module, which opens nothing yet.
func (h *Handler) loadStore(ctx caddy.Context) (store.Opener, error) {
	if len(h.StoreRaw) == 0 {
		h.StoreRaw = json.RawMessage(defaultStore)
	}
	if err := stores.checkRaw(h.StoreRaw); err != nil {
		return nil, err
	}
	module, err := ctx.LoadModule(h, "StoreRaw")
	if err != nil {
		return nil, fmt.Errorf("loading store module: %w", err)
	}
	opener, ok := module.(store.Opener)
	if !ok {
		return nil, fmt.Errorf("loading store module: %T is not a store", module)
	}
	return opener, nil
}

// loadProvider loads the provider module, which dials nothing.
func (h *Handler) loadProvider(ctx caddy.Context) (provider.Builder, error) {
	if err := providers.checkRaw(h.ProviderRaw); err != nil {
		return nil, err
	}
	module, err := ctx.LoadModule(h, "ProviderRaw")
	if err != nil {
		return nil, fmt.Errorf("loading provider module: %w", err)
	}
	builder, ok := module.(provider.Builder)
	if !ok {
		return nil, fmt.Errorf("loading provider module: %T is not a provider", module)
	}
	return builder, nil
}
