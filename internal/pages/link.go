// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"html/template"
	"net/mail"
	"net/url"
	"strings"
)

// dangerous schemes run or read something inside the browser. Redirect URIs with them are
// refused at registration; a link to one is refused here as well.
var dangerous = map[string]bool{
	"javascript": true, "vbscript": true, "data": true, "blob": true, "file": true, "filesystem": true,
	"about": true, "view-source": true, "intent": true, "ws": true, "wss": true, "ftp": true,
}

// href admits a URL as the target of a link. html/template by itself passes http, https
// and mailto only, which is too few: an answer may have to go to a private-use scheme.
func href(raw string) (template.URL, bool) {
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c > '~' || strings.IndexByte("\"<>\\`", c) >= 0 {
			return "", false
		}
	}
	u, err := url.Parse(raw)
	if err != nil || u.User != nil {
		return "", false
	}
	switch u.Scheme {
	case "":
		// A path of our own host; "//host" is another host.
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") {
			return "", false
		}
	case "https", "http":
		if u.Host == "" {
			return "", false
		}
	default:
		if dangerous[u.Scheme] {
			return "", false
		}
	}
	return template.URL(raw), true //nolint:gosec // checked above, and still escaped as an attribute
}

// contact is how the page shows the configured support.
type contact struct {
	Text string
	// Href is empty where the support is plain text.
	Href template.URL
}

// contactOf turns the configured support into a link where it is one. An e-mail bears the
// reference id in its subject, so that whoever reads it can find the log line.
func contactOf(support, ref string) *contact {
	if support == "" {
		return nil
	}
	c := &contact{Text: support}
	if a, err := mail.ParseAddress(support); err == nil && a.Address == support {
		subject := "Sign-in problem"
		if ref != "" {
			subject += " (reference " + ref + ")"
		}
		mailto := url.URL{Scheme: "mailto", Opaque: url.PathEscape(support), RawQuery: "subject=" + url.PathEscape(subject)}
		c.Href = template.URL(mailto.String()) //nolint:gosec // each part is percent-encoded
		return c
	}
	if strings.HasPrefix(support, "https://") || strings.HasPrefix(support, "http://") {
		c.Href, _ = href(support)
	}
	return c
}
