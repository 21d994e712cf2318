// SPDX-License-Identifier: Apache-2.0

package oidc_test

import (
	"log/slog"
	"net/http"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
)

type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("broken transport") }

// Documents are fetched in a goroutine of its own, where a panic would end the server.
func TestSec_J21_PanicWhileFetchingIsUnknown(t *testing.T) {
	t.Parallel()
	p := oidc.New(oidc.Config{Issuer: "https://idp.example"}, provider.Env{
		Now: clock.System, Log: slog.New(slog.DiscardHandler), HTTP: &http.Client{Transport: panicking{}},
	})
	if err := p.Warm(t.Context()); err == nil {
		t.Fatal("warmed up without a provider")
	}
}
