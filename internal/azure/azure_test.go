// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

func TestEndpoint(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://a.table.core.windows.net/":  "https://a.table.core.windows.net",
		"https://a.documents.azure.com:443":  "https://a.documents.azure.com:443",
		"http://127.0.0.1:10002/account/":    "http://127.0.0.1:10002/account",
		"http://localhost:1?sig=x":           "http://localhost:1?sig=x",
		"http://a.table.core.windows.net":    "",
		"ftp://a":                            "",
		"a.table.core.windows.net":           "",
		"https://":                           "",
		"https://me@a":                       "",
		"https://a/#x":                       "",
		"https:a":                            "",
		"https://a\x00.table.cosmos.azure.c": "",
	} {
		u, err := Endpoint(text)
		if want == "" && err == nil || want != "" && (err != nil || u.String() != want) {
			t.Errorf("%q: %v, %v, want %q", text, u, err, want)
		}
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	fields, err := Fields(" name = a=b== ;; OTHER=;", "Name", "Other")
	if err != nil || len(fields) != 2 || fields["Name"] != "a=b==" || fields["Other"] != "" {
		t.Errorf("%v, %v", fields, err)
	}
	for _, text := range []string{"Name", "Name=1;Third=secret", "Name=1;name=secret"} {
		if _, err := Fields(text, "Name", "Other"); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	reset := errors.New("connection reset")
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, "<nil>"},
		{fmt.Errorf("get: %w", &url.Error{Op: "Get", URL: "https://a/?sig=secret", Err: reset}), "connection reset"},
		{errors.New("cannot use https://a/?sig=secret\nbody: secret"), "cannot use https://a/"},
		{errors.New("a\x1b[31m\tb"), "a [31m b"},
		{errors.New(strings.Repeat("x", 400)), strings.Repeat("x", 300) + "…"},
		{fmt.Errorf("secret: %w", context.DeadlineExceeded), "no answer in time: context deadline exceeded"},
	} {
		if got := fmt.Sprint(Plain(test.err)); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
	if err := Plain(fmt.Errorf("x: %w", context.Canceled)); !errors.Is(err, context.Canceled) {
		t.Error("that the caller went away is forgotten")
	}
}

// Windows cover every id after the given one exactly once, in order.
func TestWindow(t *testing.T) {
	t.Parallel()
	var ids []string
	for n := range 500 {
		ids = append(ids, fmt.Sprintf("%04x%04x", n*131, n))
	}
	for _, width := range []int{1, Narrow, Wide} {
		for _, after := range []string{"", ids[0], ids[250], "7fff", ids[499], "ffff"} {
			for _, want := range []int{1, 7, 1000} {
				asked := 0
				got, err := Window(after, width, want, func(from, to string, room int) ([]string, error) {
					if asked++; room <= 0 || from >= to {
						t.Errorf("asked for %d between %q and %q", room, from, to)
					}
					return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id <= from || id >= to }), nil
				})
				left := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id <= after })
				if err != nil || len(got) < min(want, len(left)) || !slices.Equal(got, left[:len(got)]) {
					t.Errorf("width %d after %q: %d of %d ids, %v, want %d", width, after, len(got), len(left), err, want)
				}
				if asked > 17 {
					t.Errorf("width %d after %q: %d questions", width, after, asked)
				}
			}
		}
	}
	if _, err := Window("xyz", 1, 1, func(string, string, int) ([]string, error) { return nil, nil }); err == nil {
		t.Error("a malformed id is accepted")
	}
	failed := errors.New("failed")
	if _, err := Window("", 1, 1, func(string, string, int) ([]string, error) { return nil, failed }); !errors.Is(err, failed) {
		t.Error("an error is lost")
	}
}

// The identity of a machine, as App Service gives it. Not parallel: it sets variables.
func TestManagedIdentity(t *testing.T) {
	var asked []string
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("resource")+" "+r.URL.Query().Get("client_id"))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"token","expires_on":"4000000000","resource":"r","token_type":"Bearer"}`)
	}))
	defer service.Close()
	t.Setenv("IDENTITY_ENDPOINT", service.URL)
	t.Setenv("IDENTITY_HEADER", "header")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "")
	const client = "11111111-2222-3333-4444-555555555555"
	for _, id := range []string{SystemAssigned, client} {
		credential, err := Credential(id)
		if err != nil {
			t.Fatal(err)
		}
		token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
		if err != nil || token.Token != "token" {
			t.Errorf("%s: %v", id, err)
		}
	}
	if want := []string{"https://storage.azure.com ", "https://storage.azure.com " + client}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}

// Kubernetes says by variables which file has the token. Not parallel: it sets variables.
func TestWorkloadIdentity(t *testing.T) {
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "/no/such/file")
	t.Setenv("AZURE_TENANT_ID", "11111111-2222-3333-4444-555555555555")
	t.Setenv("AZURE_CLIENT_ID", "66666666-7777-8888-9999-000000000000")
	credential, err := Credential(SystemAssigned)
	if err != nil {
		t.Fatal(err)
	}
	if name := fmt.Sprintf("%T", credential); name != "*azidentity.WorkloadIdentityCredential" {
		t.Errorf("the credential is a %s", name)
	}
	t.Setenv("AZURE_TENANT_ID", "")
	if _, err := Credential(SystemAssigned); err == nil || !strings.Contains(err.Error(), "AZURE_TENANT_ID") {
		t.Errorf("without a tenant: %v", err)
	}
}

func TestCheckIdentity(t *testing.T) {
	t.Parallel()
	for id, good := range map[string]bool{
		SystemAssigned: true, "11111111-2222-3333-4444-55555555AAAA": true,
		"": false, "me": false, "11111111-2222-3333-4444-5555555555555": false, "11111111222233334444555555555555": false,
	} {
		if err := CheckIdentity(id); (err == nil) != good {
			t.Errorf("%q: %v", id, err)
		}
	}
}
