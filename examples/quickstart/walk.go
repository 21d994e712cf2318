// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
)

const countSteps = 5

// walker is -check: it does what a person with an MCP client does, and looks at what
// happens on the way.
type walker struct {
	*world
	out        io.Writer
	transcript *transcript
	client     *mcptest.Client
	session    *mcp.ClientSession
	progress   chan float64
}

// walk takes every step in order, prints what was seen, and stops at the first fault.
func walk(ctx context.Context, w *world, out io.Writer) error {
	k := &walker{world: w, out: out, progress: make(chan float64, countSteps)}
	k.transcript = &transcript{out: out, next: http.DefaultTransport}
	browser := &mcptest.Browser{Seen: k.transcript.browser}
	var err error
	k.client, err = mcptest.NewClient(mcptest.ClientConfig{
		Endpoint: w.resource,
		HTTP:     &http.Client{Transport: k.transcript},
		Browser:  browser,
		Person:   k.person,
		Progress: func(done, _ float64) { k.progress <- done },
	})
	if err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"An unknown client connects, registers and signs its person in", k.connect},
		{"The MCP server sees who it is, from a verified JWT", k.identity},
		{"A tool answers", k.echo},
		{"A slow tool streams its progress", k.stream},
		{"The client refreshes its tokens and goes on", k.refresh},
		{"A stranger is refused", k.stranger},
	} {
		fmt.Fprintf(out, "\n%s\n", step.name)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", strings.ToLower(step.name[:1])+step.name[1:], err)
		}
	}
	fmt.Fprintln(out, "\nEverything works.")
	return nil
}

// person reads each page before pressing a button.
func (k *walker) person(ctx context.Context, b *mcptest.Browser, p *mcptest.Page) (*mcptest.Page, error) {
	fmt.Fprintf(k.out, "  page    %q\n", p.Title())
	if p.Status != http.StatusOK {
		return nil, fmt.Errorf("status %d: %s", p.Status, p.Text())
	}
	if p.Has(mcptest.Continue) && !strings.Contains(p.Text(), "127.0.0.1") {
		return nil, errors.New("the consent page does not say where the answer goes")
	}
	return mcptest.Agree(ctx, b, p)
}

func (k *walker) connect(ctx context.Context) (err error) {
	if k.session, err = k.client.Connect(ctx); err != nil {
		return err
	}
	for _, line := range []string{
		"POST /mcp 401",
		"GET /.well-known/oauth-protected-resource/mcp 200",
		"GET /.well-known/oauth-authorization-server/oauth 200",
		"POST /oauth/register 201",
		"GET /oauth/authorize 302",
		"GET /oauth/login 200",
		"POST /oauth/login/continue 303",
		"GET /oauth/callback 303",
		"POST /oauth/token 200",
		"POST /mcp 200",
	} {
		if !k.transcript.saw(line) {
			return fmt.Errorf("there was no %q", line)
		}
	}
	return nil
}

func (k *walker) identity(ctx context.Context) error {
	who, err := mcptest.Call[mcptest.Identity](ctx, k.session, "whoami", nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(k.out, "          sub %s, name %s, client_id %s, scope %s, aud %v, for %d s\n",
		who.Subject, who.Name, who.ClientID, who.Scope, who.Audience, who.ExpiresIn)
	switch {
	case !strings.HasPrefix(who.Subject, k.emulator.Tenant()+"."):
		return fmt.Errorf("sub %q is not of the tenant", who.Subject)
	case who.Issuer != k.issuer || !slices.Equal(who.Audience, []string{k.resource}):
		return fmt.Errorf("iss %q or aud %v is wrong", who.Issuer, who.Audience)
	case who.ClientID != k.client.Tokens.ClientID():
		return fmt.Errorf("client_id %q is not that of the client", who.ClientID)
	case who.Name == "":
		return errors.New("there is no name")
	}
	return nil
}

func (k *walker) echo(ctx context.Context) error {
	const text = "Grüße, 世界"
	got, err := mcptest.Call[mcptest.Text](ctx, k.session, "echo", mcptest.Text{Text: text})
	if err == nil && got.Text != text {
		err = fmt.Errorf("echo of %q is %q", text, got.Text)
	}
	return err
}

func (k *walker) stream(ctx context.Context) error {
	if _, err := mcptest.Call[mcptest.Count](ctx, k.session, "count", mcptest.Count{Steps: countSteps}); err != nil {
		return err
	}
	for range countSteps {
		select {
		case done := <-k.progress:
			fmt.Fprintf(k.out, "          progress %v of %v\n", done, countSteps)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (k *walker) refresh(ctx context.Context) error {
	before := k.client.Tokens.Current()
	after, err := k.client.Tokens.Refresh()
	if err != nil {
		return err
	}
	if after.AccessToken == before.AccessToken || after.RefreshToken == before.RefreshToken {
		return errors.New("the tokens did not change")
	}
	return k.echo(ctx)
}

// stranger calls with a token that looks right and is not.
func (k *walker) stranger(ctx context.Context) error {
	defer k.session.Close()
	token := k.client.Tokens.Current().AccessToken
	forged := token[:len(token)-1] + "A"
	if forged == token {
		forged = token[:len(token)-1] + "B"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.resource, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+forged)
	resp, err := k.transcript.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(resp.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		return fmt.Errorf("a forged token was answered with %s", resp.Status)
	}
	return nil
}
