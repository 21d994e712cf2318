// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

func TestParseRegistration(t *testing.T) {
	t.Parallel()
	got, err := ParseRegistration([]byte(` {
		"redirect_uris": ["https://a.example/cb", "http://localhost:1/cb"],
		"client_name": "A \u2603", "client_uri": "https://a.example/",
		"token_endpoint_auth_method": "none",
		"grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
		"scope": "mcp offline_access", "application_type": "native",
		"logo_uri": "https://a.example/logo.png", "jwks": {"keys": [{"kty": "RSA"}]}, "client_name#de": "B",
		"contacts": null, "software_version": 1.5 } `))
	if err != nil {
		t.Fatal(err)
	}
	want := &RegistrationRequest{
		RedirectURIs: []string{"https://a.example/cb", "http://localhost:1/cb"},
		ClientName:   "A ☃", ClientURI: "https://a.example/", TokenEndpointAuthMethod: "none",
		GrantTypes: []string{"authorization_code", "refresh_token"}, ResponseTypes: []string{"code"},
		Scope: "mcp offline_access", ApplicationType: "native",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestParseRegistrationNullIsAbsent(t *testing.T) {
	t.Parallel()
	got, err := ParseRegistration([]byte(`{"redirect_uris":["https://a.example/"],"scope":null,"client_name":null,"grant_types":null}`))
	if err != nil || got.Scope != "" || got.ClientName != "" || got.GrantTypes != nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

func refuseRegistration(t *testing.T, want Code, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		r, err := ParseRegistration([]byte(body))
		if e := AsError(err); e == nil || e.Code != want || r != nil {
			t.Errorf("ParseRegistration(%.120q) = %+v, %v; want %s", body, r, err, want)
		}
	}
}

func TestSec_B02_RedirectsRequired(t *testing.T) {
	t.Parallel()
	refuseRegistration(t, InvalidRedirectURI,
		`{}`, `{"redirect_uris":[]}`, `{"redirect_uris":null}`, `{"redirect_uris":"https://a.example/"}`,
		`{"redirect_uris":{}}`, `{"redirect_uris":[1]}`, `{"redirect_uris":[["https://a.example/"]]}`,
		`{"redirect_uris":[`+strings.Repeat(`"https://a.example/",`, 10)+`"https://a.example/"]}`,
		`{"redirect_uris":["https://a.example/`+strings.Repeat("a", MaxRedirectURI)+`"]}`,
	)
}

func TestSec_E03_HostileMetadata(t *testing.T) {
	t.Parallel()
	const ok = `"redirect_uris":["https://a.example/"]`
	refuseRegistration(t, InvalidClientMetadata,
		``, ` `, `null`, `[]`, `"x"`, `1`, `{`, `{`+ok, `{`+ok+`}{}`, `{`+ok+`} x`, `{`+ok+`,}`,
		`{`+ok+`,"redirect_uris":["https://evil.example/"]}`,
		`{`+ok+`,"Redirect_URIs":["https://evil.example/"]}`,
		`{"Redirect_URIs":["https://evil.example/"]}`,
		`{`+ok+`,"redirect_ur\u0069s":["https://evil.example/"]}`,
		`{`+ok+`,"re`+"\u0064"+`irect_uriſ":["https://evil.example/"]}`,
		`{`+ok+`,"SCOPE":"admin"}`, `{`+ok+`,"to`+"\u212a"+`en_endpoint_auth_method":"none"}`,
		`{`+ok+`,"x":1,"x":2}`, `{`+ok+`,"x":1,"X":2}`, `{`+ok+`,"x":{"a":1,"a":2}}`, `{`+ok+`,"x":[[{"a":1,"A":2}]]}`,
		`{`+ok+`,"client_name":1}`, `{`+ok+`,"client_name":["a"]}`, `{`+ok+`,"scope":["mcp"]}`, `{`+ok+`,"grant_types":"authorization_code"}`,
		"{"+ok+",\"client_name\":\"\xff\"}", "\xef\xbb\xbf{"+ok+"}", `{`+ok+`,"x":`+strings.Repeat("[", 8)+strings.Repeat("]", 8)+`}`,
		`{`+ok+`,"x":`+strings.Repeat(`{"a":`, 8)+`1`+strings.Repeat("}", 8)+`}`,
		`{`+ok+`,"x":"`+strings.Repeat("a", MaxRegistration)+`"}`,
	)
	if _, err := ParseRegistration([]byte(`{` + ok + `,"x":` + strings.Repeat("[", 7) + strings.Repeat("]", 7) + `}`)); err != nil {
		t.Errorf("8 levels: %v", err)
	}
}

// FuzzRegistration: whatever is accepted means the same to a reader who takes the last of
// repeated members and one who ignores case.
func FuzzRegistration(f *testing.F) {
	f.Add([]byte(`{"redirect_uris":["https://a.example/"],"client_name":"x","x":[{"y":null}]}`))
	f.Add([]byte(`{"redirect_uris":["https://a.example/"],"Client_Name":"x"}`))
	f.Add([]byte(`{"redirect_uris":["\ud800"]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseRegistration(body)
		if err != nil {
			if AsError(err) == nil {
				t.Fatalf("%q: %v is no definite answer", body, err)
			}
			return
		}
		var loose struct {
			Redirect_URIs []string
			Client_Name   string
			Client_URI    string
			Scope         string
		}
		if err := json.Unmarshal(body, &loose); err != nil {
			t.Fatalf("accepted %q: %v", body, err)
		}
		if !reflect.DeepEqual(loose.Redirect_URIs, r.RedirectURIs) || loose.Client_Name != r.ClientName || loose.Client_URI != r.ClientURI || loose.Scope != r.Scope {
			t.Fatalf("%q: strict %+v, loose %+v", body, r, loose)
		}
	})
}

func TestRegistrationResponseHidesItsSecretFromLogs(t *testing.T) {
	t.Parallel()
	never := int64(0)
	r := RegistrationResponse{ClientID: "c", ClientSecret: secret.New("s3cr3t"), ClientSecretExpiresAt: &never, RedirectURIs: []string{"https://a.example/"}}
	if s := fmt.Sprintf("%v %+v %#v %v", r, r, r, &r); strings.Contains(s, "s3cr3t") {
		t.Errorf("printed %s", s)
	}
	b, err := json.Marshal(&r)
	want := `{"client_id":"c","client_id_issued_at":0,"client_secret_expires_at":0,"redirect_uris":["https://a.example/"],` +
		`"token_endpoint_auth_method":"","grant_types":null,"response_types":null,"client_secret":"s3cr3t"}`
	if err != nil || string(b) != want {
		t.Errorf("marshalled %s, %v\nwant %s", b, err, want)
	}
	r.ClientSecret, r.ClientSecretExpiresAt = secret.String{}, nil
	if b, _ := json.Marshal(r); strings.Contains(string(b), "secret") {
		t.Errorf("a public client got %s", b)
	}
}
