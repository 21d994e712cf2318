// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// sessionSize is the most that a store keeps for a session, beside the provider's token.
// The longest part of it is who the person is, here about 300 bytes.
const sessionSize = 1300

// A session is one record. It does not grow with its life: it has the access tokens that
// are still good, and the refresh token before the present one.
func TestSessionSize(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	token := strings.Repeat("t", 1200)
	n.provider.person = provider.Person{
		Subject:  "72f0e5a1-6c3d-4e1b-9a57-0d2c4b8e1f36.aaaaaaaa-0000-4000-8000-000000000001",
		ObjectID: "aaaaaaaa-0000-4000-8000-000000000001",
		Name:     "Anna-Lena Example-Person", PreferredUsername: "anna-lena.example-person@contoso.example",
		Email: "anna-lena.example-person@contoso.example", EmailVerified: true,
		Roles: []string{"MCP.Reader", "MCP.Writer", "MCP.Admin"},
	}
	session := &provider.Session{Person: n.provider.person, RefreshToken: secret.New(token)}
	code, err := n.IssueCode(t.Context(), request(), session, n.terms.Policy.Lifetimes.Code)
	if err != nil {
		t.Fatal(err)
	}
	got, err := n.Redeem(t.Context(), n.terms, redemption(code.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	sizes := []int{n.grantSize(t, got)}
	for range 4 {
		n.clock.Advance(n.terms.Policy.Lifetimes.Access)
		got, err = n.refresh(t, text(*got.Refresh))
		if err != nil {
			t.Fatal(err)
		}
		n.accepts(t, got)
		sizes = append(sizes, n.grantSize(t, got))
	}
	t.Logf("bytes of a session beside the provider's token: %v", sizes)
	for i, size := range sizes {
		if size > sessionSize || i > 2 && size > sizes[i-1]+64 {
			t.Errorf("after %d refreshes a session takes %d bytes", i, size)
		}
	}
}

// grantSize is the number of bytes of the one grant, with what makes it found, beside the
// provider's token as it is sealed and written.
func (n *node) grantSize(t *testing.T, i *Issued) int {
	t.Helper()
	page, err := n.store.List(t.Context(), store.Query{Site: n.Site.String(), Kind: "grant"})
	if err != nil || len(page.Records) != 1 {
		t.Fatalf("%d grants, %v", len(page.Records), err)
	}
	r := page.Records[0]
	whole := len(r.Value) + len(r.Person) + len(r.Client) + len(r.Version) + 32
	return whole - base64.StdEncoding.EncodedLen(len(n.grant(t, i).Provider.Sealed))
}
