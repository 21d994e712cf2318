// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/caddyserver/caddy/v2"
)

func init() { caddy.RegisterModule(collector{}) }

// collectPath is where a Caddy of this program is told to collect its garbage and to give
// the memory back: what is resident then is what is in use.
const collectPath = "/compare/collect"

// collector adds that to Caddy's admin endpoint.
type collector struct{}

// CaddyModule returns the Caddy module information.
func (collector) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.compare", New: func() caddy.Module { return collector{} }}
}

// Routes implements caddy.AdminRouter.
func (collector) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{
		Pattern: collectPath,
		Handler: caddy.AdminHandlerFunc(func(http.ResponseWriter, *http.Request) error {
			debug.FreeOSMemory()
			return nil
		}),
	}}
}

// collect makes a Caddy collect; others have nothing to collect.
func (s *system) collect(ctx context.Context) error {
	if s.admin == "" {
		return nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.admin+collectPath, nil)
	if err != nil {
		return err
	}
	resp, err := checker.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("collecting is answered with %s", resp.Status)
	}
	return nil
}
