// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

// leeway is how far the clocks of the provider and of this machine may be apart; the one
// value for exp, nbf and iat (security.md §3.3).
const leeway = 60 * time.Second

// errInvalid marks a token that was looked at and is wrong, as opposed to one that could
// not be judged.
var errInvalid = errors.New("the ID token is not valid")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", errInvalid, fmt.Errorf(format, args...))
}

// IDToken is a verified ID token.
type IDToken struct {
	// Issuer is iss. A Dialect whose IssuerIsOwn is true has to check it.
	Issuer string
	// Claims are all members.
	Claims Claims
	// KeyIssuer is the issuer member of the key that signed; "" where it has none.
	KeyIssuer string
	// Metadata is the discovery document by which the token was verified.
	Metadata *Metadata
}

// verify checks an ID token as OpenID Connect Core §3.1.3.7 demands. An absent claim
// fails like a wrong one. The nonce is nil at refresh, where the token may have none
// (§12.2). An error that is not errInvalid means that the token could not be judged.
func (rp *RelyingParty) verify(ctx context.Context, md *Metadata, a *answer, nonce *secret.String) (*IDToken, error) {
	sig := &signature{keys: &rp.keys}
	verifier := gooidc.NewVerifier(md.Issuer, sig, &gooidc.Config{
		ClientID:             rp.config.ClientID,
		SupportedSigningAlgs: rp.dialect.Algorithms(md),
		SkipIssuerCheck:      rp.dialect.IssuerIsOwn(),
		SkipExpiryCheck:      true, // checkTimes has one leeway for all
		Now:                  rp.now,
	})
	t, err := verifier.Verify(ctx, a.idToken.Reveal())
	if sig.unavailable != nil {
		return nil, sig.unavailable
	}
	if err != nil {
		return nil, invalid("%w", err)
	}
	var claims Claims
	var raw json.RawMessage
	if err := errors.Join(t.Claims(&raw), json.Unmarshal(raw, &claims)); err != nil {
		return nil, invalid("%w", err)
	}
	if err := rp.checkClaims(t, claims, a.accessToken, nonce); err != nil {
		return nil, err
	}
	return &IDToken{Issuer: t.Issuer, Claims: claims, KeyIssuer: sig.signer.issuer, Metadata: md}, nil
}

func (rp *RelyingParty) checkClaims(t *gooidc.IDToken, c Claims, accessToken secret.String, nonce *secret.String) error {
	// OpenID Connect Core §2: sub is REQUIRED.
	if c.String("sub") == "" {
		return invalid("it has no sub")
	}
	// §3.1.3.7: "If the ID Token contains multiple audiences, the Client SHOULD verify
	// that an azp Claim is present"; "If an azp Claim is present, the Client SHOULD
	// verify that its client_id is the Claim Value."
	if (len(t.Audience) > 1 || c.Has("azp")) && c.String("azp") != rp.config.ClientID {
		return invalid("azp is not our client id")
	}
	if err := rp.checkTimes(c); err != nil {
		return err
	}
	if nonce != nil && !secret.New(c.String("nonce")).Equal(*nonce) {
		return invalid("nonce is not the one sent")
	}
	// §3.1.3.8: at_hash is OPTIONAL; where it is present it must fit.
	if c.Has("at_hash") {
		if err := t.VerifyAccessToken(accessToken.Reveal()); err != nil {
			return invalid("%w", err)
		}
	}
	return nil
}

// checkTimes demands exp and iat (OpenID Connect Core §2: both REQUIRED) and honours nbf.
func (rp *RelyingParty) checkTimes(c Claims) error {
	exp, errExp := c.Time("exp")
	iat, errIat := c.Time("iat")
	nbf, errNbf := c.Time("nbf")
	if err := errors.Join(errExp, errIat, errNbf); err != nil {
		return invalid("%w", err)
	}
	now := rp.now()
	switch {
	case exp.IsZero():
		return invalid("it has no exp")
	case iat.IsZero():
		return invalid("it has no iat")
	// "The current date/time MUST be before the time represented by the exp Claim."
	case !now.Before(exp.Add(leeway)):
		return invalid("it expired at %v, now is %v", exp, now.UTC())
	case now.Add(leeway).Before(iat):
		return invalid("it was issued in the future: iat %v, now is %v", iat, now.UTC())
	case now.Add(leeway).Before(nbf):
		return invalid("it is not valid yet: nbf %v, now is %v", nbf, now.UTC())
	}
	return nil
}
