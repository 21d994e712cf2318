// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/azuretest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

func TestOpenMakesTheTable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		made *http.Response
		want string
	}{
		"made":              {azuretest.Reply(201, `{"TableName":"state"}`), ""},
		"by somebody else":  {failed(409, "TableAlreadyExists"), ""},
		"without the right": {failed(403, "AuthorizationPermissionMismatch"), "there is no table state, and the rights do not suffice to make it: run `az storage table create --name state`"},
		"being deleted":     {failed(409, "TableBeingDeleted"), "the service answered 409 TableBeingDeleted"},
	} {
		o := azure.ClientOptions()
		o.Transport = &azuretest.Fake{Answer: func(r *http.Request, _ string) *http.Response {
			if r.Method == http.MethodPost {
				return test.made
			}
			return failed(404, "TableNotFound")
		}}
		env, _ := environment()
		_, err := open(t.Context(), some(), env, o)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// Nobody listens there, and the signature is in the address.
func TestOpenUnreachable(t *testing.T) {
	t.Parallel()
	env, _ := environment()
	c := Config{Endpoint: "http://127.0.0.1:1", Signature: secret.New(someSignature), Table: "state"}
	_, err := Open(t.Context(), c, env)
	if err == nil || !strings.Contains(err.Error(), "opening azure table http://127.0.0.1:1/state: ") || !strings.Contains(err.Error(), "the service cannot be reached") {
		t.Errorf("error is %v", err)
	}
	wantNoSecret(t, err)
}

func TestSignatureIsSent(t *testing.T) {
	t.Parallel()
	c := Config{Endpoint: some().Endpoint, Signature: secret.New(someSignature), Table: "state"}
	s, _ := opened(t, c, func(r *http.Request, _ string) *http.Response {
		if r.URL.Query().Get("sig") != "c2lnbmF0dXJl" || r.URL.Query().Get("$filter") == "" || r.Header.Get("Authorization") != "" {
			t.Errorf("query %s", r.URL.RawQuery)
		}
		return azuretest.Reply(200, empty, "Date: Wed, 21 Oct 2037 07:28:00 GMT")
	})
	at, err := s.Ping(t.Context())
	if err != nil || !at.Equal(time.Date(2037, 10, 21, 7, 28, 0, 0, time.UTC)) {
		t.Errorf("Ping: %v, %v", at, err)
	}
	if loss := s.Loss(); !strings.Contains(loss, "fails over") {
		t.Errorf("Loss: %s", loss)
	}
}

// Not parallel: it gives the machine an identity.
func TestManagedIdentity(t *testing.T) {
	azuretest.ManagedIdentity(t)
	c := Config{Endpoint: some().Endpoint, Identity: azure.SystemAssigned, Table: "state"}
	s, _ := opened(t, c, func(r *http.Request, _ string) *http.Response {
		if got := r.Header.Get("Authorization"); got != "Bearer token" {
			t.Errorf("Authorization is %q", got)
		}
		return failed(403, "AuthorizationPermissionMismatch")
	})
	if _, err := s.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), `az role assignment create --role "Storage Table Data Contributor"`) {
		t.Errorf("without the role: %v", err)
	}
}

func TestCloudOf(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"https://a.table.cosmos.azure.com:443": "https://login.microsoftonline.com/",
		"https://a.table.cosmos.azure.cn:443":  "https://login.chinacloudapi.cn/",
		"https://a.table.cosmos.azure.us":      "https://login.microsoftonline.us/",
	} {
		if got := cloudOf(endpoint).ActiveDirectoryAuthorityHost; got != want {
			t.Errorf("%s: %s, want %s", endpoint, got, want)
		}
	}
}
