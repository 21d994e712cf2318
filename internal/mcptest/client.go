// SPDX-License-Identifier: Apache-2.0

package mcptest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// RedirectURI is where the client of the tests wants its answer. Nobody listens there:
// the scripted browser stops in front of it.
const RedirectURI = "http://127.0.0.1:33418/callback"

// ClientConfig describes one installation of the official MCP client.
type ClientConfig struct {
	// Endpoint is the resource URL that a person pastes in.
	Endpoint string
	// HTTP sends the client's requests; nil means a client of its own.
	HTTP *http.Client
	// Browser is where the person signs in; nil means a new one.
	Browser *Browser
	// Person acts on the pages; nil means Agree.
	Person Person
	// SignIn takes the person through the sign-in in another way, for instance with a
	// real browser; nil means Browser and Person.
	SignIn auth.AuthorizationCodeFetcher
	// Registration is sent to the registration endpoint; nil means that of a native
	// public client that can refresh.
	Registration *oauthex.ClientRegistrationMetadata
	// Static is used instead of registration, if set, with RedirectURI as the answer's
	// address.
	Static *oauthex.ClientCredentials
	// Progress is told of every progress notification, if set; that may be after the
	// call that they belong to has returned.
	Progress func(done, total float64)
}

// Client is the official MCP client with a person at a scripted browser.
type Client struct {
	// Tokens are those that the client holds after Connect.
	Tokens *Tokens

	config ClientConfig
	oauth  *auth.AuthorizationCodeHandler
}

// Registration is what a native public client sends to the registration endpoint.
func Registration(name string, redirectURIs ...string) *oauthex.ClientRegistrationMetadata {
	return &oauthex.ClientRegistrationMetadata{
		ClientName:              name,
		RedirectURIs:            redirectURIs,
		GrantTypes:              []string{"authorization_code", "refresh_token"},
		ResponseTypes:           []string{"code"},
		TokenEndpointAuthMethod: "none",
	}
}

// NewClient returns a client that has not yet said anything to anybody.
func NewClient(c ClientConfig) (*Client, error) {
	c.setDefaults()
	client := &Client{config: c, Tokens: &Tokens{}}
	config := &auth.AuthorizationCodeHandlerConfig{
		Client:                   c.HTTP,
		AuthorizationCodeFetcher: c.SignIn,
		NewTokenSource:           client.Tokens.hold,
		RequestRefreshToken:      true,
	}
	if c.Static != nil {
		config.PreregisteredClient, config.RedirectURL = c.Static, RedirectURI
	} else {
		config.DynamicClientRegistrationConfig = &auth.DynamicClientRegistrationConfig{Metadata: c.Registration}
	}
	var err error
	client.oauth, err = auth.NewAuthorizationCodeHandler(config)
	return client, err
}

func (c *ClientConfig) setDefaults() {
	if c.HTTP == nil {
		c.HTTP = &http.Client{}
	}
	if c.Browser == nil {
		c.Browser = &Browser{Transport: c.HTTP.Transport}
	}
	if c.Person == nil {
		c.Person = Agree
	}
	if c.Registration == nil {
		c.Registration = Registration("Go MCP client", RedirectURI)
	}
	if c.SignIn == nil {
		browser, person := c.Browser, c.Person
		c.SignIn = func(ctx context.Context, a *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			return SignIn(ctx, browser, a.URL, person)
		}
	}
}

// Connect opens an MCP session, signing the person in where the server asks for it. It
// may be called again: the client keeps its tokens.
func (c *Client) Connect(ctx context.Context) (*mcp.ClientSession, error) {
	options := &mcp.ClientOptions{}
	if c.config.Progress != nil {
		options.ProgressNotificationHandler = func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			c.config.Progress(r.Params.Progress, r.Params.Total)
		}
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "mcptest", Version: "1.0.0"}, options)
	return client.Connect(ctx, &mcp.StreamableClientTransport{
		Endpoint:     c.config.Endpoint,
		HTTPClient:   c.config.HTTP,
		OAuthHandler: c.oauth,
	}, nil)
}

// Call calls a tool and decodes its structured answer into T.
func Call[T any](ctx context.Context, s *mcp.ClientSession, tool string, arguments any) (T, error) {
	var out T
	params := &mcp.CallToolParams{Name: tool, Arguments: arguments}
	params.SetProgressToken(tool)
	result, err := s.CallTool(ctx, params)
	if err != nil {
		return out, err
	}
	if result.IsError {
		return out, fmt.Errorf("tool %s: %s", tool, contentText(result.Content))
	}
	raw, err := json.Marshal(result.StructuredContent)
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(raw, &out)
}

func contentText(content []mcp.Content) string {
	for _, c := range content {
		if t, ok := c.(*mcp.TextContent); ok {
			return t.Text
		}
	}
	return "no text"
}
