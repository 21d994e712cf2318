// SPDX-License-Identifier: Apache-2.0

// Package azure is what the stores on Azure have in common: how they are addressed, who
// they are to the service, how long they try, and what they say when it fails.
package azure

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// ClientOptions are how a store talks to a service. A call is bounded by its context, and
// whoever calls a store sends a write again whose outcome is unknown, so the library tries
// only twice more, soon, and gives up where the service asks for more patience than that.
// Trying a write again is harmless: the stores know a write by its version. The transport
// is a new one.
func ClientOptions() azcore.ClientOptions {
	return azcore.ClientOptions{
		Retry: policy.RetryOptions{
			MaxRetries:    2,
			RetryDelay:    40 * time.Millisecond,
			MaxRetryDelay: 500 * time.Millisecond,
		},
		Telemetry: policy.TelemetryOptions{Disabled: true},
		Transport: NewTransport(),
	}
}

// Endpoint checks the address of a service. Only a service on this machine may be spoken
// to without TLS.
func Endpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Host == "", u.Opaque != "":
		// The text may hold a signature, so it is not repeated.
		return nil, fmt.Errorf("it is not a URL: write one such as https://NAME.table.core.windows.net or https://NAME.documents.azure.com")
	case u.User != nil:
		return nil, fmt.Errorf("it contains a user name: write it without, and the key as connection_string")
	case u.Fragment != "":
		return nil, fmt.Errorf("it contains a fragment: write it without the part after #")
	case u.Scheme == "http" && !oauth.IsLoopbackHost(u.Hostname()):
		return nil, fmt.Errorf("http is only for this machine: write https://%s", u.Host)
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("the scheme %q is not https: write https://%s", u.Scheme, u.Host)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

// Release closes what ClientOptions opened.
func Release(o azcore.ClientOptions) {
	if t, ok := o.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
