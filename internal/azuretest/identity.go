// SPDX-License-Identifier: Apache-2.0

package azuretest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// ManagedIdentity gives this machine a managed identity as App Service does, whose token
// is the word "token". It sets environment variables, so the test cannot be parallel.
func ManagedIdentity(t *testing.T) {
	t.Helper()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"token","expires_on":"4000000000","resource":%q,"token_type":"Bearer"}`, r.URL.Query().Get("resource"))
	}))
	t.Cleanup(service.Close)
	t.Setenv("IDENTITY_ENDPOINT", service.URL)
	t.Setenv("IDENTITY_HEADER", "header")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "")
}
