// SPDX-License-Identifier: Apache-2.0

package mcptest

import (
	"context"
	"errors"
	"fmt"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Identity is what the tool `whoami` answers: what the verified JWT says, and which
// headers came along, so that a test can look for what should not have come through.
type Identity struct {
	Subject   string   `json:"sub"`
	Name      string   `json:"name"`
	Username  string   `json:"preferred_username"`
	Email     string   `json:"email"`
	Roles     []string `json:"roles"`
	ClientID  string   `json:"client_id"`
	Scope     string   `json:"scope"`
	Audience  []string `json:"aud"`
	Issuer    string   `json:"iss"`
	ID        string   `json:"jti"`
	ExpiresIn int64    `json:"expires_in"`
	Headers   []string `json:"headers"`
}

// Text is the input and the answer of the tool `echo`.
type Text struct {
	Text string `json:"text" jsonschema:"what to send back"`
}

// Count is the input and the answer of the tool `count`.
type Count struct {
	Steps int `json:"steps" jsonschema:"how many progress notifications to send, at most 1000"`
}

// newTools is the MCP server behind the proxy, with one tool for each thing that a proxy
// can break: identity, content, and a slow answer that streams.
func newTools(step func(context.Context) error) *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "demo", Title: "Demo MCP server", Version: "1.0.0"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "whoami", Description: "Tells who you are, as the token says."}, whoami)
	mcp.AddTool(s, &mcp.Tool{Name: "echo", Description: "Sends a text back."}, echo)
	mcp.AddTool(s, &mcp.Tool{Name: "count", Description: "Counts slowly and reports progress."},
		func(ctx context.Context, r *mcp.CallToolRequest, in Count) (*mcp.CallToolResult, Count, error) {
			return nil, in, count(ctx, r, in.Steps, step)
		})
	return s
}

func whoami(_ context.Context, r *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, Identity, error) {
	extra := r.GetExtra()
	if extra == nil || extra.TokenInfo == nil {
		return nil, Identity{}, errors.New("the request came without a verified token")
	}
	claims, ok := extra.TokenInfo.Extra["claims"].(*Claims)
	if !ok {
		return nil, Identity{}, errors.New("the token came without claims")
	}
	return nil, claims.identity(extra.Header), nil
}

func echo(_ context.Context, _ *mcp.CallToolRequest, in Text) (*mcp.CallToolResult, Text, error) {
	return nil, in, nil
}

// count sends one progress notification per step before it answers.
func count(ctx context.Context, r *mcp.CallToolRequest, steps int, step func(context.Context) error) error {
	if steps < 0 || steps > 1000 {
		return fmt.Errorf("steps must be between 0 and 1000, not %d", steps)
	}
	token := r.Params.GetProgressToken()
	for i := 1; i <= steps; i++ {
		if err := step(ctx); err != nil {
			return err
		}
		if token == nil {
			continue
		}
		note := &mcp.ProgressNotificationParams{ProgressToken: token, Progress: float64(i), Total: float64(steps)}
		if err := r.Session.NotifyProgress(ctx, note); err != nil {
			return err
		}
	}
	return nil
}
