// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// Reasons of provider.Refused beside the error codes that end a grant.
const (
	reasonIDToken        = "id_token"
	reasonResponseIssuer = "response_issuer"
	reasonConfiguration  = "configuration"
)

// endings are the only codes by which a provider says that a person must sign in again.
// invalid_grant: RFC 6749 §5.2; the others: OpenID Connect Core §3.1.2.6. An error that
// is not here may be an outage, and an outage logs nobody out (security.md G10).
var endings = []string{"invalid_grant", "interaction_required", "consent_required", "login_required"}

// faults are the codes that say that our own registration at the provider is wrong. They
// say nothing about the person.
var faults = []string{
	"invalid_client", "unauthorized_client", "invalid_scope", "invalid_request",
	"invalid_target", "invalid_resource", "unsupported_grant_type",
}

// said returns the provider's definite answer inside err, or nil where there is none:
// no connection, a server error, throttling, or something that is not an OAuth error.
func (rp *RelyingParty) said(err error) *TokenError {
	var e *TokenError
	if !errors.As(err, &e) || rp.dialect.Transient(e) {
		return nil
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		return e
	default:
		return nil
	}
}

// exchangeFailed classifies a failure to redeem a code.
func (rp *RelyingParty) exchangeFailed(err error) error {
	e := rp.said(err)
	switch {
	case e == nil:
	case slices.Contains(endings, e.Code):
		return &provider.Refused{Reason: e.Code, Reference: e.CorrelationID, Cause: e}
	case slices.Contains(faults, e.Code):
		return &provider.Refused{Reason: reasonConfiguration, Reference: e.CorrelationID, Cause: e}
	}
	return fmt.Errorf("redeeming the provider's code: %w", err)
}

// refreshFailed classifies a failure to refresh. Our own credential being refused is no
// statement about the person: it is unknown, like an outage.
func (rp *RelyingParty) refreshFailed(err error) error {
	if e := rp.said(err); e != nil && slices.Contains(endings, e.Code) {
		return &provider.Ended{Reason: e.Code, Reference: e.CorrelationID, Cause: e}
	}
	return fmt.Errorf("refreshing at the provider: %w", err)
}
