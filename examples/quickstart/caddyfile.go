// SPDX-License-Identifier: Apache-2.0

package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/mcpoauth/caddy-mcp-oauth"
)

// caddyfile is the Caddyfile of README.md; a test compares the two.
//
//go:embed Caddyfile
var caddyfile string

// local is the Caddyfile with the URLs of this machine and the emulator as authority.
// Nothing else differs from what protects a real server.
func (w *world) local() string {
	const secret = "{env.ENTRA_CLIENT_SECRET}\n"
	return strings.NewReplacer(
		"https://mcp.example.com", w.origin,
		"mcp.example.com", w.origin,
		"localhost:3001", strings.TrimPrefix(w.backend, "http://"),
		secret, secret+"\t\t\tauthority "+w.emulator.URL()+"\n",
	).Replace(caddyfile)
}

// caddyConfig adapts the Caddyfile and keeps Caddy from touching anything of the
// machine's: no admin endpoint, no autosave, data in a directory of our own, loopback
// alone. None of it concerns mcp_oauth.
func (w *world) caddyConfig(listen []string, debug bool) ([]byte, error) {
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(w.local()), nil)
	if err != nil {
		return nil, err
	}
	if len(warnings) > 0 {
		return nil, fmt.Errorf("the Caddyfile has warnings: %v", warnings)
	}
	var config caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		return nil, err
	}
	persist := false
	config.Admin = &caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: &persist}}
	config.StorageRaw = caddyconfig.JSONModuleObject(map[string]string{"root": w.dir}, "module", "file_system", nil)
	config.Logging = logging(debug)
	var app caddyhttp.App
	if err := json.Unmarshal(config.AppsRaw["http"], &app); err != nil {
		return nil, err
	}
	for _, server := range app.Servers {
		server.Listen = listen
	}
	// Open streams must not keep Ctrl-C waiting.
	app.GracePeriod = caddy.Duration(time.Second)
	config.AppsRaw["http"] = caddyconfig.JSON(app, nil)
	return json.Marshal(config)
}

// logging shows errors alone, or everything.
func logging(debug bool) *caddy.Logging {
	level := "ERROR"
	if debug {
		level = "DEBUG"
	}
	return &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{Level: level}}}}
}
