// SPDX-License-Identifier: Apache-2.0

package entratest

import (
	"net/http"
	"net/url"
)

// Visit sends one GET as a browser would and returns what the redirect brings to the
// client: code and state, or error. Where the server shows a page instead, the answer is
// nil and the status tells. SignInAs has to have chosen the user.
func Visit(t T, authorizationURL string) (url.Values, int) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, authorizationURL, nil)
	if err != nil {
		t.Fatalf("%v", err)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusFound {
		return nil, resp.StatusCode
	}
	to, err := resp.Location()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return to.Query(), resp.StatusCode
}
