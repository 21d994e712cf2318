// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

var (
	errNeedsSecret = oauth.New(oauth.InvalidClient, "The client must authenticate with its secret.")
	errWrongSecret = oauth.New(oauth.InvalidClient, "The client secret is wrong.")
	errHasNoSecret = oauth.New(oauth.InvalidClient, "The client has no secret, so it must not send one.")
)

// Authenticate finds the client that sent a request to the token endpoint (RFC 6749
// §2.3) and checks its secret. form is the parsed body. A definite no is an *oauth.Error,
// invalid_client (401) or invalid_request (400), and the caller answers it before it
// looks at the grant; see UsedBasic for the header that belongs to it. Any other error
// means that the client could not be looked up.
func (g *Registry) Authenticate(ctx context.Context, rules Rules, r *http.Request, form url.Values) (*Client, error) {
	cred, err := credentialsOf(r, form)
	if err != nil {
		return nil, err
	}
	c, err := g.findFirst(ctx, rules, cred.ids)
	if err != nil {
		return nil, err
	}
	if err := c.authenticate(cred.secrets); err != nil {
		return nil, err
	}
	return c, nil
}

// findFirst finds the client by the first reading of its id that is known.
func (g *Registry) findFirst(ctx context.Context, rules Rules, ids []string) (*Client, error) {
	for _, id := range ids {
		c, err := g.Find(ctx, rules, id)
		if err == nil || !errors.Is(err, errUnknownClient) {
			return c, err
		}
	}
	return nil, errUnknownClient
}

// authenticate accepts the secret of a confidential client by either method, since both
// show the same secret and clients guess which one to use. A public client must not send
// one: an administrator who forgot to configure it would believe that it protects, and a
// client that kept the secret of another registration learns here that it must register
// again.
func (c *Client) authenticate(secrets []string) error {
	switch {
	case !c.Confidential() && len(secrets) > 0:
		return errHasNoSecret
	case !c.Confidential():
		return nil
	case len(secrets) == 0:
		return errNeedsSecret
	case !c.hasSecret(secrets):
		return errWrongSecret
	}
	return nil
}
