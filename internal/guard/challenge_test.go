// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/oauthex"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/route"
)

var fields = []string{"resource_metadata", "scope", "error", "error_description"}

// readers are the ways in which MCP clients read a challenge, as far as known.
var readers = map[string]func(t *testing.T, header string) map[string]string{
	"Go SDK":            readStrictly,
	"TypeScript/Python": readByPattern,
	"C#":                readByComma,
	"VS Code":           readByToken,
}

// readStrictly is the parser of the Go SDK, which gives up on any syntax error.
func readStrictly(t *testing.T, header string) map[string]string {
	t.Helper()
	challenges, err := oauthex.ParseWWWAuthenticate([]string{header})
	if err != nil || len(challenges) != 1 || challenges[0].Scheme != "bearer" {
		t.Fatalf("%s: %+v, %v", header, challenges, err)
	}
	return challenges[0].Params
}

// readByPattern looks for name="value" anywhere behind the scheme.
func readByPattern(t *testing.T, header string) map[string]string {
	t.Helper()
	scheme, rest, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "bearer") || rest == "" {
		t.Fatalf("%s: not a bearer challenge", header)
	}
	out := map[string]string{}
	for _, f := range fields {
		if m := regexp.MustCompile(f + `=(?:"([^"]+)"|([^\s,]+))`).FindStringSubmatch(header); m != nil {
			out[f] = m[1] + m[2]
		}
	}
	return out
}

// readByComma splits at every comma, quoted or not.
func readByComma(t *testing.T, header string) map[string]string {
	t.Helper()
	rest, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		t.Fatalf("%s: not a bearer challenge", header)
	}
	out := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		out[name] = strings.Trim(value, `"`)
	}
	return out
}

// readByToken walks over name = token | quoted string, and knows no escapes.
func readByToken(t *testing.T, header string) map[string]string {
	t.Helper()
	_, rest, _ := strings.Cut(header, " ")
	item := regexp.MustCompile(`^\s*([A-Za-z_]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))\s*(?:,|$)`)
	out := map[string]string{}
	for rest != "" {
		m := item.FindStringSubmatch(rest)
		if m == nil {
			t.Fatalf("%s: cannot read %q", header, rest)
		}
		out[m[1]] = m[2] + m[3]
		rest = rest[len(m[0]):]
	}
	return out
}

func TestChallengeIsReadAlikeByEveryClient(t *testing.T) {
	t.Parallel()
	resources := []*policy.Resource{
		{URL: "https://h.example/mcp", Origin: "https://h.example", Path: "/mcp", Scopes: oauth.Scopes{"mcp"}},
		{URL: "https://h.example", Origin: "https://h.example", Scopes: oauth.Scopes{"api://x/MCP.Access", "mcp:tools"}},
		{URL: "https://h.example/a,b", Origin: "https://h.example", Path: "/a,b", Scopes: oauth.Scopes{"a,b", "c", "offline_access"}},
		{URL: "http://localhost:8080/mcp", Origin: "http://localhost:8080", Path: "/mcp"},
	}
	refusals := []*refusal{
		errNoToken, errMalformed, errSeveralHeaders, errTokenInQuery, errQuery, errExpired, errResource, errPolicy,
		asRefusal(insufficient(oauth.Scopes{"b", "a", "offline_access"})),
		asRefusal(oauth.New(oauth.InvalidToken, "The \"access\" token, it seems, is no\\t väl\x07id.")),
	}
	for _, res := range resources {
		for _, no := range refusals {
			for _, slash := range []bool{false, true} {
				checkChallenge(t, res, slash, no)
			}
		}
	}
}

func checkChallenge(t *testing.T, res *policy.Resource, slash bool, no *refusal) {
	t.Helper()
	target := NewTarget(&policy.Policy{}, res)
	header := target.challenge(slash, no)
	if header != NewTarget(&policy.Policy{}, res).challenge(slash, no) {
		t.Errorf("%s: differs the second time", header)
	}
	want := map[string]string{"resource_metadata": route.MetadataURL(res, slash)}
	if s := challengeScopes(res, no.granted); s != "" {
		want["scope"] = s
	}
	if !no.silent {
		want["error"], want["error_description"] = string(no.err.Code), quotable(no.err.Description)
	}
	for name, read := range readers {
		if have := read(t, header); !maps.Equal(have, want) {
			t.Errorf("%s reads %v\nin   %s\nwant %v", name, have, header, want)
		}
	}
	for _, scope := range strings.Fields(want["scope"]) {
		if scope == oauth.OfflineAccess {
			t.Errorf("%s: has offline_access", header)
		}
	}
	for i := range len(header) {
		if header[i] < 0x20 || header[i] > 0x7e {
			t.Errorf("%q: not plain ASCII", header)
		}
	}
}

// Our own descriptions need no cleaning.
func TestDescriptionsArePlain(t *testing.T) {
	t.Parallel()
	for _, r := range []*refusal{
		errNoToken, errMalformed, errSeveralHeaders, errTokenInQuery, errQuery, errExpired, errResource, errPolicy,
		errEarlyData, errOrigin, errStreams, asRefusal(insufficient(nil)),
	} {
		if quotable(r.err.Description) != r.err.Description {
			t.Errorf("%q", r.err.Description)
		}
	}
}
