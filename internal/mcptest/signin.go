// SPDX-License-Identifier: Apache-2.0

package mcptest

import (
	"context"
	"fmt"
	"net/url"

	"github.com/modelcontextprotocol/go-sdk/auth"
)

// maxPages is how many pages a person reads before giving up.
const maxPages = 10

// Person does on a page what a person would do and returns the page that follows.
type Person func(context.Context, *Browser, *Page) (*Page, error)

// Agree presses Continue on the consent page and the first button anywhere else, which
// signs in at the emulator.
func Agree(ctx context.Context, b *Browser, p *Page) (*Page, error) {
	if p.Has(Continue) {
		return b.Submit(ctx, p, Continue, nil)
	}
	return b.Submit(ctx, p, Button{}, nil)
}

// Decline presses Cancel on the consent page.
func Decline(ctx context.Context, b *Browser, p *Page) (*Page, error) {
	return b.Submit(ctx, p, Cancel, nil)
}

// AuthorizationError is the client's answer where a sign-in failed (RFC 6749 §4.1.2.1).
type AuthorizationError struct {
	Code, Description, State, Issuer string
}

func (e *AuthorizationError) Error() string {
	return fmt.Sprintf("authorization failed: %s: %s", e.Code, e.Description)
}

// SignIn opens the authorization request and lets the person go on until the answer goes
// to the redirect URI of the request. An error that the client is told of is an
// *AuthorizationError.
func SignIn(ctx context.Context, b *Browser, request string, person Person) (*auth.AuthorizationResult, error) {
	u, err := url.Parse(request)
	if err != nil {
		return nil, err
	}
	answer, err := url.Parse(u.Query().Get("redirect_uri"))
	if err != nil {
		return nil, err
	}
	b.Stop = func(u *url.URL) bool {
		return u.Scheme == answer.Scheme && u.Host == answer.Host && u.Path == answer.Path
	}
	page, err := b.Open(ctx, request)
	for range maxPages {
		if err != nil {
			return nil, err
		}
		if page.Stopped {
			return result(page.URL.Query())
		}
		page, err = person(ctx, b, page)
	}
	return nil, fmt.Errorf("still no answer after %d pages", maxPages)
}

// result reads what the authorization server tells the client.
func result(q url.Values) (*auth.AuthorizationResult, error) {
	if code := q.Get("error"); code != "" {
		return nil, &AuthorizationError{
			Code: code, Description: q.Get("error_description"), State: q.Get("state"), Issuer: q.Get("iss"),
		}
	}
	return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
}
