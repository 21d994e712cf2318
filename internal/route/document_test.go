// SPDX-License-Identifier: Apache-2.0

package route

import "testing"

func TestURLs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		url              string
		slash            bool
		metadata, itself string
	}{
		{"https://h/mcp", false, "https://h/.well-known/oauth-protected-resource/mcp", "https://h/mcp"},
		{"https://h/mcp", true, "https://h/.well-known/oauth-protected-resource/mcp/", "https://h/mcp/"},
		{"https://h", false, "https://h/.well-known/oauth-protected-resource", "https://h"},
		{"https://h/", false, "https://h/.well-known/oauth-protected-resource", "https://h/"},
		{"https://h", true, "https://h/.well-known/oauth-protected-resource/", "https://h/"},
		{"https://h/a,b", false, "https://h/.well-known/oauth-protected-resource/a%2Cb", "https://h/a,b"},
	} {
		r := site("https://h/oauth", c.url).Resources[0]
		if have := MetadataURL(r, c.slash); have != c.metadata {
			t.Errorf("MetadataURL(%s, %t) = %s, want %s", c.url, c.slash, have, c.metadata)
		}
		if have := ResourceURL(r, c.slash); have != c.itself {
			t.Errorf("ResourceURL(%s, %t) = %s, want %s", c.url, c.slash, have, c.itself)
		}
	}
	// What a challenge names is answered, in both spellings of a comma.
	const comma = "https://h/a,b"
	check(t, site("https://h/oauth", comma), []asked{
		{"h", "/.well-known/oauth-protected-resource/a%2Cb", documentOf(comma)},
		{"h", "/.well-known/oauth-protected-resource/a,b", documentOf(comma)},
	})
}
