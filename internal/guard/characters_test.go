// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// around has each byte alone, in front, at the end and in the middle.
func around() []string {
	var all []string
	for i := range 256 {
		c := string([]byte{byte(i)})
		all = append(all, c, c+"a", "a"+c, "a"+c+"b")
	}
	return all
}

// Character by character the rules are those of the grammars, written once more.
func TestSec_H15_TokenCharacters(t *testing.T) {
	t.Parallel()
	valid := regexp.MustCompile(`\A[A-Za-z0-9._~+/-]+=*\z`)
	for _, s := range append(around(), "", "=", "==", "a=", "a==", "=a", "a=a", "a=b=", "ab>", "a<=") {
		if got := token68(s); got != valid.MatchString(s) {
			t.Errorf("token68(%q) = %t", s, got)
		}
	}
}

func TestSec_H15_EachRefusalOfAHeader(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("a", maxToken)
	for _, tt := range []struct {
		values []string
		want   error
	}{
		{nil, errNoToken},
		{[]string{""}, errNoToken},
		{[]string{"Bearer"}, errNoToken},
		{[]string{"Bearer "}, errNoToken},
		{[]string{"Basic x"}, errNoToken},
		{[]string{"Bearerx"}, errNoToken},
		{[]string{"Bearer x", "Bearer x"}, errSeveralHeaders},
		{[]string{"", ""}, errSeveralHeaders},
		{[]string{"Bearer  x"}, errMalformed},
		{[]string{"Bearer x y"}, errMalformed},
		{[]string{"Bearer ="}, errMalformed},
		{[]string{"Bearer " + longest + "a"}, errMalformed},
		{[]string{"Bearer x"}, nil},
		{[]string{"bEARER x=="}, nil},
		{[]string{"Bearer " + longest}, nil},
	} {
		token, err := bearer(http.Header{"Authorization": tt.values})
		if err != tt.want || (err == nil) != (token != "") {
			t.Errorf("%.40q: %.40q, %v; want %v", tt.values, token, err, tt.want)
		}
	}
}

func TestSec_J02_AliasesByteByByte(t *testing.T) {
	t.Parallel()
	alphanumeric := regexp.MustCompile(`\A[A-Za-z0-9]\z`)
	for i := range 256 {
		c := string([]byte{byte(i)})
		separates := i < 0x80 && !alphanumeric.MatchString(c)
		if got := separator(byte(i)); got != separates {
			t.Errorf("separator(%q) = %t", c, got)
		}
		if got := string([]byte{lower(byte(i))}); i < 0x80 && got != strings.ToLower(c) || i >= 0x80 && got != c {
			t.Errorf("lower(%q) = %q", c, got)
		}
		for name, want := range map[string]bool{
			"X" + c + "User":     separates,
			c + "X-User":         separates,
			"X-User" + c:         separates,
			c + c + "X-User" + c: separates,
			"X-" + c + "ser":     c == "U" || c == "u",
			"X-Use" + c:          c == "R" || c == "r",
			c + "-User":          c == "X" || c == "x",
		} {
			if got := isAlias(name, "X-User"); got != want {
				t.Errorf("isAlias(%q) = %t", name, got)
			}
		}
		if got, want := isAlias("X"+c, "X1"), c == "1"; got != want {
			t.Errorf("isAlias(%q, X1) = %t", "X"+c, got)
		}
	}
	for _, name := range []string{"", "-", "------", "X", "X-Use", "-X-Use", "X-Use-", "X--User", "XUser", "X-Users", "X-User-X"} {
		if isAlias(name, "X-User") {
			t.Errorf("%q is taken for X-User", name)
		}
	}
}

func TestQuotable(t *testing.T) {
	t.Parallel()
	kept := regexp.MustCompile(`\A[ !#-+.-\[\]-~-]\z`)
	for i := range 256 {
		s := string(rune(i))
		want := ""
		if kept.MatchString(s) {
			want = s
		}
		if got := quotable(s); got != want {
			t.Errorf("quotable(%q) = %q", s, got)
		}
	}
	if got := quotable(`a"b, c\d é`); got != "ab cd " {
		t.Errorf("%q", got)
	}
}

func TestPreflightFieldNames(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`\A[a-z0-9-]\z`)
	for i := range 256 {
		c := string([]byte{byte(i)})
		if got, want := fieldName(c), name.MatchString(c); got != want {
			t.Errorf("fieldName(%q) = %t", c, got)
		}
		if got, want := fieldName("a"+c), name.MatchString(c); got != want {
			t.Errorf("fieldName(%q) = %t", "a"+c, got)
		}
	}
	for list, want := range map[string]string{
		"Authorization, Content-Type,accept":    "Authorization, Content-Type, accept",
		"last-event-id,mcp-protocol-version":    "last-event-id, mcp-protocol-version",
		"DPoP, Mcp-Session-Id, MCP-Name":        "DPoP, Mcp-Session-Id, MCP-Name",
		"mcp-a b, mcp-x\r\ny, mcp_x, x-mcp-a":   "",
		"cookie, x-user, authorization2, accep": "",
		"":                                      "",
	} {
		if got := acceptable([]string{list}); got != want {
			t.Errorf("acceptable(%q) = %q", list, got)
		}
	}
	// Two lines are two lists, also where one ends in the middle of nothing.
	if got := acceptable([]string{"accept", "dpop"}); got != "accept, dpop" {
		t.Errorf("%q", got)
	}
	for _, n := range []string{"authorization", "content-type", "accept", "last-event-id", "mcp-protocol-version", "dpop"} {
		if !slices.Contains(preflightHeaders, n) {
			t.Errorf("%s is not allowed", n)
		}
	}
}

func TestAcceptsEvents(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		accept []string
		want   bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"text/event-stream"}, true},
		{[]string{"TEXT/Event-Stream;q=0.5"}, true},
		{[]string{"application/json, text/event-stream"}, true},
		{[]string{"application/json", "text/event-stream"}, true},
		{[]string{"application/json"}, false},
		{[]string{"text/event-strea"}, false},
		{[]string{"text/event-strean"}, false},
		{[]string{"text/html,application/xhtml+xml"}, false},
		{[]string{"*/*"}, false},
	} {
		if got := acceptsEvents(http.Header{"Accept": tt.accept}); got != tt.want {
			t.Errorf("%q: %t", tt.accept, got)
		}
	}
	for mediaType, want := range map[string]bool{
		"": false, "text/event-stream": true, " TEXT/event-stream ; charset=utf-8": true, "text/event-streams": false, "application/json; text/event-stream": false,
	} {
		if got := isEventStream(http.Header{"Content-Type": {mediaType}}); got != want {
			t.Errorf("isEventStream(%q) = %t", mediaType, got)
		}
	}
}
