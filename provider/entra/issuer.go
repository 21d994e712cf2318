// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/provider/oidc"
)

// tenantTemplate stands for the tenant's id in issuers of documents and keys that serve
// several tenants.
const tenantTemplate = "{tenantid}"

// checkIssuer applies Microsoft's rule for issuers and returns the tenant of the token.
// The key that signed says whose tokens it may sign; a key of one tenant never vouches
// for another, and the document says which tenants may be here at all.
func checkIssuer(t *oidc.IDToken) (tenant string, err error) {
	tenant = t.Claims.String("tid")
	keyIssuer := t.KeyIssuer
	if keyIssuer == "" && !strings.Contains(t.Metadata.Issuer, tenantTemplate) {
		// A key without the member, such as an application's own signing key, comes from
		// a document of one tenant and signs for that tenant.
		keyIssuer = t.Metadata.Issuer
	}
	switch {
	case !isGUID(tenant):
		return "", errors.New("tid is not a tenant id")
	case keyIssuer == "":
		return "", errors.New("the key that signed does not say whose tokens it may sign")
	case t.Issuer != strings.Replace(keyIssuer, tenantTemplate, tenant, 1):
		return "", fmt.Errorf("issuer %q is not one that the key may sign for, which is %q", t.Issuer, keyIssuer)
	case t.Issuer != strings.Replace(t.Metadata.Issuer, tenantTemplate, tenant, 1):
		return "", fmt.Errorf("issuer %q is not %q, that of the discovery document", t.Issuer, t.Metadata.Issuer)
	// The templates hold the tenant once; this one sees that they hold it at all.
	case issuerTenant(t.Issuer) != tenant:
		return "", fmt.Errorf("issuer %q is not of tenant %s", t.Issuer, tenant)
	}
	return tenant, nil
}

// issuerTenant returns the tenant segment of an issuer of the form
// https://{host}/{tenant}/v2.0; "" for any other form.
func issuerTenant(issuer string) string {
	_, rest, _ := strings.Cut(issuer, "://")
	segments := strings.Split(rest, "/")
	if len(segments) != 3 || segments[2] != "v2.0" {
		return ""
	}
	return segments[1]
}
