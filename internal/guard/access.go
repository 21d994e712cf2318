// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// Lookup finds what an access token stands for. A definite no is an *oauth.Error with
// the code invalid_token; any other error says nothing about the token.
type Lookup interface {
	// Authentic tells without reading the token's record whether the token was made here,
	// so that invented ones cost next to nothing.
	Authentic(ctx context.Context, token string) error
	// Access reads what the token stands for.
	Access(ctx context.Context, token string) (*Access, error)
	// Alive tells whether a grant still stands; a definite no says that it has ended.
	Alive(ctx context.Context, grant [16]byte) error
}

// Access is what a valid access token stands for.
type Access struct {
	Grant [16]byte
	// Record is the name of the grant in the store, which is what other nodes report.
	Record   [32]byte
	Client   string
	Person   provider.Person
	Resource string
	Scopes   oauth.Scopes
	// Expires is when the access token ends.
	Expires time.Time
	// Until is when the provider has to be asked before the token is relied upon again;
	// zero where nothing bounds that but Expires.
	Until time.Time
	// Holder is what opens the data key of the grant together with the token; "" where
	// nothing does.
	Holder string
	// Source is what the Verifier needs to know from the Lookup; the guard does not look at it.
	Source any
}

// MintFunc makes the JWT that the backend of a resource gets instead of the token, and
// says when it ends. Every error is an unknown outcome.
type MintFunc func(ctx context.Context, a *Access, p *policy.Policy, r *policy.Resource) (jwt string, expires time.Time, err error)

// digest is the same for two accesses that say the same to a backend.
func (a *Access) digest() [32]byte {
	h := sha256.New()
	write := func(s string) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(s)))
		h.Write(size[:])
		h.Write([]byte(s))
	}
	p := a.Person
	for _, s := range []string{
		string(a.Grant[:]), a.Client, a.Resource, a.Scopes.String(), a.Expires.UTC().String(),
		p.Subject, p.Issuer, p.Tenant, p.ObjectID, p.Name, p.PreferredUsername, verifiedEmail(p),
	} {
		write(s)
	}
	for _, role := range p.Roles {
		write(role)
	}
	return [32]byte(h.Sum(nil))
}

// verifiedEmail is the address that a backend may learn: one that nobody verified could
// be anybody's.
func verifiedEmail(p provider.Person) string {
	if !p.EmailVerified {
		return ""
	}
	return p.Email
}
