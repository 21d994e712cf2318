// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

// loginTokenLife is how long a person may look at the consent page before continuing.
const loginTokenLife = 5 * time.Minute

// errExpired says that a login token is no longer good, or never was.
var errExpired = errors.New("login token expired or not ours")

// sealedRequest is the plaintext of a login token.
type sealedRequest struct {
	grants.Request
	Issued int64 `json:"iat"`
}

// sealRequest turns a validated request into a login token. It travels in a URL, so its
// size is bounded before a browser or a proxy bounds it less kindly.
func (s *active) sealRequest(ctx context.Context, req grants.Request) (string, error) {
	root, err := s.Vault.ActiveRoot(ctx)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(sealedRequest{Request: req, Issued: s.Now().Unix()})
	if err != nil {
		return "", err
	}
	token, _, err := seal.SealLogin(s.Rand, root, s.site, plain)
	if err != nil {
		return "", err
	}
	if len(token) > maxLoginToken {
		return "", oauth.New(oauth.InvalidRequest, "The authorization request is too long.")
	}
	return token, nil
}

// opened is a login token that is ours and fresh.
type opened struct {
	req grants.Request
	tid [16]byte
	// root is the key of this token, under which its form key is bound.
	root seal.Root
}

// openRequest is the reverse of sealRequest; a definite no is errExpired, with the token's
// tid where it was ours once.
func (s *active) openRequest(ctx context.Context, token string) (opened, error) {
	if len(token) > maxLoginToken {
		return opened{}, errExpired
	}
	var o opened
	var unknown error
	lookup := func(kid seal.KID) (seal.Root, bool) {
		root, ok, err := s.Vault.Root(ctx, kid)
		unknown, o.root = err, root
		return root, ok && err == nil
	}
	plain, tid, err := seal.OpenLogin(lookup, s.site, token)
	if unknown != nil {
		return opened{}, unknown
	}
	if err != nil {
		return opened{}, errExpired
	}
	var in sealedRequest
	if err := json.Unmarshal(plain, &in); err != nil {
		return opened{}, errExpired
	}
	o.req, o.tid = in.Request, tid
	if s.Now().Sub(time.Unix(in.Issued, 0)) >= loginTokenLife {
		return o, errExpired
	}
	return o, nil
}

// restart returns the URL of a fresh consent page for the same request, or "" where none
// can be made. It only asks again, so it needs no proof of who follows it.
func (s *active) restart(ctx context.Context, req grants.Request) string {
	token, err := s.sealRequest(ctx, req)
	if err != nil {
		return ""
	}
	return s.loginURL(token)
}
