// SPDX-License-Identifier: Apache-2.0

// Package mcptest is the world around mcp_oauth, for tests and for the quickstart: an MCP
// server behind it, built with the official SDK, that verifies the JWT it is handed; a
// scripted browser that reads real pages; and the official MCP client that uses both.
package mcptest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// ServerConfig says what the demo server trusts.
type ServerConfig struct {
	// Issuer must be the iss of every token.
	Issuer string
	// Audience must be the aud of every token: the server's own resource URL.
	Audience string
	// JWKSURL is where the issuer publishes its keys.
	JWKSURL string
	// Client fetches the keys.
	Client *http.Client
	// Now tells the time; nil means the system's clock.
	Now clock.Func
	// Step paces the tool `count`; nil means one step per 200 ms.
	Step func(ctx context.Context) error
}

// NewServer returns the demo MCP server: streamable HTTP on every path, for requests that
// bear a JWT of the issuer alone.
func NewServer(c ServerConfig) http.Handler {
	if c.Now == nil {
		c.Now = clock.System
	}
	if c.Step == nil {
		c.Step = pause
	}
	server := newTools(c.Step)
	streamable := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{
		// The proxy in front passes the public Host on, which the SDK would take for DNS
		// rebinding; no request without a JWT comes this far.
		DisableLocalhostProtection: true,
	})
	keys := &verifier{config: c}
	check := func(ctx context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		claims, err := keys.Verify(ctx, token)
		if err != nil {
			// errors.Join keeps both: what the SDK matches, and the reason to print.
			return nil, errors.Join(auth.ErrInvalidToken, err)
		}
		return &auth.TokenInfo{
			Scopes:     strings.Fields(claims.Scope),
			Expiration: claims.Expiry.Time(),
			UserID:     claims.Subject,
			Extra:      map[string]any{"claims": claims},
		}, nil
	}
	return auth.RequireBearerToken(check, nil)(streamable)
}

// pause is the pace of the tool `count` for people who watch it.
func pause(ctx context.Context) error {
	timer := time.NewTimer(200 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
