// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

var errNoBearer = errors.New("the first challenge is not Bearer with parameters")

// patterns find name=value anywhere in the header, in quotes or as a token.
var patterns = func() map[string]*regexp.Regexp {
	m := map[string]*regexp.Regexp{}
	for _, name := range []string{"resource_metadata", "scope", "error", "error_description"} {
		m[name] = regexp.MustCompile(name + `=(?:"([^"]+)"|([^\s,]+))`)
	}
	return m
}()

func byPattern(header, name string) string {
	m := patterns[name].FindStringSubmatch(header)
	if m == nil {
		return ""
	}
	return m[1] + m[2]
}

func allByPattern(header string) Challenge {
	return Challenge{
		Metadata: byPattern(header, "resource_metadata"), Scope: byPattern(header, "scope"),
		Error: byPattern(header, "error"), Description: byPattern(header, "error_description"),
	}
}

// typeScriptChallenge is extractWWWAuthenticateParams of client/auth.js in
// @modelcontextprotocol/sdk 1.32.2 and @modelcontextprotocol/client 2.4.0. A URL that does
// not parse counts as absent. Version 1 has no use for the description.
func typeScriptChallenge(schemes ...string) func([]string) (Challenge, error) {
	return func(values []string) (Challenge, error) {
		header := strings.Join(values, ", ")
		words := strings.Split(header, " ")
		if len(words) < 2 || words[1] == "" || !slices.Contains(schemes, strings.ToLower(words[0])) {
			return Challenge{}, errNoBearer
		}
		c := allByPattern(header)
		if _, err := parseURL(c.Metadata); err != nil {
			c.Metadata = ""
		}
		return c, nil
	}
}

// pythonChallenge is extract_field_from_www_auth of src/mcp/client/auth/utils.py, which does
// not look at the scheme.
func pythonChallenge(values []string) (Challenge, error) {
	return allByPattern(strings.Join(values, ", ")), nil
}

var remoteParameter = regexp.MustCompile(`(\w+)=(?:"([^"]*)"|([\w-]+))`)

// mcpRemoteChallenge is parseWWWAuthenticateHeader of
// src/lib/protected-resource-metadata.ts in mcp-remote 0.15.1. The last of several
// parameters of one name counts.
func mcpRemoteChallenge(values []string) (Challenge, error) {
	header := regexp.MustCompile(`(?i)^Bearer\s+`).ReplaceAllString(strings.Join(values, ", "), "")
	params := map[string]string{}
	for _, m := range remoteParameter.FindAllStringSubmatch(header, -1) {
		params[m[1]] = m[2] + m[3]
	}
	return fromParams(params), nil
}

func fromParams(params map[string]string) Challenge {
	return Challenge{
		Metadata: params["resource_metadata"], Scope: params["scope"],
		Error: params["error"], Description: params["error_description"],
	}
}

// goChallenge is the parser of the Go SDK itself, which gives up on any syntax error, and
// with it the whole sign-in. The first challenge that has a parameter counts.
func goChallenge(values []string) (Challenge, error) {
	challenges, err := oauthex.ParseWWWAuthenticate(values)
	if err != nil {
		return Challenge{}, err
	}
	for _, c := range challenges {
		if c.Scheme == "bearer" {
			return fromParams(c.Params), nil
		}
	}
	return Challenge{}, errNoBearer
}

// csharpChallenge is ParseWwwAuthenticateParameters of
// src/ModelContextProtocol.Core/Authentication/ClientOAuthProvider.cs, which splits at
// every comma, quoted or not, after the class library has split off the scheme.
func csharpChallenge(values []string) (Challenge, error) {
	for _, value := range values {
		scheme, parameters, _ := strings.Cut(value, " ")
		if !strings.EqualFold(scheme, "Bearer") || parameters == "" {
			continue
		}
		return Challenge{
			Metadata: byComma(parameters, "resource_metadata"), Scope: byComma(parameters, "scope"),
			Error: byComma(parameters, "error"), Description: byComma(parameters, "error_description"),
		}, nil
	}
	return Challenge{}, errNoBearer
}

func byComma(parameters, name string) string {
	for part := range strings.SplitSeq(parameters, ",") {
		key, value, found := strings.Cut(strings.TrimSpace(part), "=")
		if !found || !strings.EqualFold(strings.TrimSpace(key), name) {
			continue
		}
		value = strings.TrimSpace(value)
		if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		return value
	}
	return ""
}

// vsCodeChallenge is parseWWWAuthenticateHeader of src/vs/base/common/oauth.ts: commas
// outside of quotes separate items, an item "Scheme name=value" begins a challenge, and one
// quote is taken off at each end. Escapes are not known.
func vsCodeChallenge(values []string) (Challenge, error) {
	scheme, params := "", map[string]string{}
	for _, item := range outsideQuotes(strings.Join(values, ", ")) {
		if before, after, spaced := strings.Cut(item, " "); spaced && !strings.Contains(before, "=") && strings.Contains(after, "=") {
			if scheme != "" {
				break
			}
			scheme, item = before, after
		}
		name, value, found := strings.Cut(item, "=")
		if !found || scheme == "" {
			continue
		}
		value = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(value), `"`), `"`)
		params[strings.TrimSpace(name)] = value
	}
	if !strings.EqualFold(scheme, "Bearer") {
		return Challenge{}, errNoBearer
	}
	return fromParams(params), nil
}

// outsideQuotes splits at commas that are not between quotes.
func outsideQuotes(header string) []string {
	var items []string
	quoted, begin := false, 0
	for i := range len(header) {
		switch {
		case header[i] == '"':
			quoted = !quoted
		case header[i] == ',' && !quoted:
			items, begin = append(items, strings.TrimSpace(header[begin:i])), i+1
		}
	}
	return append(items, strings.TrimSpace(header[begin:]))
}
