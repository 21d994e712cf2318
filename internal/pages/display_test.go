// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"Claude", "Claude"},
		{"  two \t\r\n words\u00a0\u2003here ", "two words here"},
		{"Cl\u200bau\u2060de\ufeff", "Claude"},
		{"\u202eedualC\u202c", "edualC"},
		{"\u2066a\u2069\u061c\u200e", "a"},
		{"a\x00b\x1b[31mc\u0085d\x7f", "ab[31mc d"},
		{"a\xffb\xc3", "ab"},
		{"soft\u00adhyphen", "softhyphen"},
		{"tag\U000e0041\U000e007f", "tag"},
		{"blank\u3164\uffa0\u2800\u115f", "blank"},
		{"emoji ❤\ufe0f", "emoji ❤"},
		{"e\u0301", "e\u0301"},
		{"Z" + strings.Repeat("\u0317", 40) + "algo", "Z\u0317\u0317algo"},
		{"private \ue000", "private"},
		{"日本語 עברית ไทย", "日本語 עברית ไทย"},
		{"1234567890", "1234567890"},
		{"12345678901", "123456789…"},
		{"12345678 01", "12345678…"},
		{"\u202e\u200b ", ""},
	} {
		limit := 80
		if strings.HasPrefix(c.in, "12345678") {
			limit = 10
		}
		if got := clean(c.in, limit); got != c.want {
			t.Errorf("clean(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, p := range payloads {
		f.Add(p)
	}
	f.Add("a\u202e\u0301\u0301\u0301 \xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s, 20)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > 20 || got != strings.TrimSpace(got) {
			t.Errorf("clean(%q) = %q", s, got)
		}
		for _, r := range got {
			if invisible(r) {
				t.Errorf("clean(%q) = %q keeps %U", s, got, r)
			}
		}
		if again := clean(got, 20); again != got {
			t.Errorf("clean(%q) = %q, then %q", s, got, again)
		}
	})
}

func TestTarget(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]target{
		"https://claude.ai/api/cb":             {host: "claude.ai"},
		"https://CLAUDE.ai:8443/cb":            {host: "claude.ai:8443"},
		"https://bücher.example/cb":            {host: "xn--bcher-kva.example"},
		"https://сlaude.ai/":                   {host: "xn--laude-0ye.ai"},
		"https://xn--bcher-kva.example/":       {host: "xn--bcher-kva.example"},
		"https://straße.example/":              {host: "xn--strae-oqa.example"},
		"https://203.0.113.7:444/cb":           {host: "203.0.113.7:444"},
		"https://[2001:DB8::1]:444/cb":         {host: "[2001:db8::1]:444"},
		"https://a_b.example/":                 {host: "a_b.example"},
		"https://good.example@evil.example/":   {host: "evil.example"},
		"http://localhost:6274/cb":             {host: "localhost:6274", loopback: true},
		"http://[::1]/cb":                      {host: "[::1]", loopback: true},
		"cursor://anysphere.cursor-mcp/o/cb":   {host: "cursor://anysphere.cursor-mcp", private: true},
		"com.example.app:/cb":                  {host: "com.example.app:", private: true},
		"com.example.app:cb":                   {host: "com.example.app:", private: true},
		"not a uri":                            {host: "not?a?uri"},
		"":                                     {},
		"https://" + strings.Repeat("a.", 200): {host: "..." + strings.Repeat("a.", 129) + "a."},
	} {
		if strings.Contains(uri, "a.a.a.") {
			full := strings.Repeat("a.", 200)
			want.host = "..." + full[len(full)-hostBytes:]
		}
		if got := targetOf(uri); got != want {
			t.Errorf("targetOf(%q) = %+v, want %+v", uri, got, want)
		}
	}
}

func FuzzTarget(f *testing.F) {
	for _, p := range payloads {
		f.Add(p)
	}
	f.Add("https://bücher。example:1/")
	f.Fuzz(func(t *testing.T, uri string) {
		got := targetOf(uri)
		for _, r := range got.host {
			if r <= ' ' || r > '~' || strings.ContainsRune("<>\"`", r) {
				t.Errorf("targetOf(%q) shows %q", uri, got.host)
			}
		}
		if strings.Join(breakable(got.host), "") != got.host {
			t.Errorf("breaking %q changes it", got.host)
		}
	})
}

func TestContact(t *testing.T) {
	t.Parallel()
	for support, want := range map[string]string{
		"help@contoso.com":           "mailto:help@contoso.com?subject=Sign-in%20problem%20%28reference%20R1%29",
		"a+b?c=d@contoso.com":        "mailto:a+b%3Fc=d@contoso.com?subject=Sign-in%20problem%20%28reference%20R1%29",
		"https://contoso.com/help":   "https://contoso.com/help",
		"http://intranet/help":       "http://intranet/help",
		"call 1234":                  "",
		"Help <help@contoso.com>":    "",
		"javascript:alert(1)":        "",
		"https://contoso.com/ a b c": "",
	} {
		c := contactOf(support, "R1")
		if string(c.Href) != want || c.Text != support {
			t.Errorf("contactOf(%q) = %+v, want %q", support, c, want)
		}
	}
	if contactOf("", "R1") != nil {
		t.Error("no support makes a contact")
	}
}
