// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
)

// Limits of single values.
const (
	maxText   = 200
	maxUser   = 255
	maxEvents = 100_000
)

// Every function here checks one value. The parser calls it where the value has no
// placeholder, Provision calls it always. An error says what to write instead, and never
// repeats a secret.

func checkIssuer(v string) error {
	if err := oauth.CheckIssuer(v); err != nil {
		return fmt.Errorf("%q cannot be an issuer: %w; write the public URL of the authorization server without a slash at the end, "+
			"such as https://mcp.example.com/oauth", v, err)
	}
	return checkPath(v)
}

func checkResourceURL(v string) error {
	if err := oauth.CheckResourceURL(v); err != nil {
		return fmt.Errorf("%q cannot be a resource: %w; write the URL that people paste into their client, "+
			"such as https://mcp.example.com/mcp", v, err)
	}
	return checkPath(v)
}

// checkPath refuses what requests could not be compared with, since trailing dots are
// dropped there, and segments that belong to the documents of discovery (RFC 8615).
func checkPath(v string) error {
	for segment := range strings.SplitSeq(v, "/") {
		if strings.EqualFold(segment, ".well-known") {
			return fmt.Errorf("%q contains /.well-known, where the documents of discovery are: write another path, such as /mcp", v)
		}
		if strings.HasSuffix(segment, ".") {
			return fmt.Errorf("%q has a dot at the end of %q, which some servers drop: write it without", v, segment)
		}
	}
	return nil
}

func checkText(v string) error {
	switch {
	case strings.TrimSpace(v) == "":
		return errors.New("the text is empty: write something that people can read, or remove the word")
	case utf8.RuneCountInString(v) > maxText:
		return fmt.Errorf("the text has %d characters: write at most %d", utf8.RuneCountInString(v), maxText)
	case !utf8.ValidString(v) || strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%q has characters that cannot be shown: write one line of plain text", v)
	}
	return nil
}

func checkScope(v string) error {
	if v == oauth.OfflineAccess {
		return fmt.Errorf("%s guards nothing and is always accepted: remove it here", v)
	}
	if !oauth.ValidScope(v) {
		return fmt.Errorf("%q is not one scope: write a word without spaces, quotes and backslashes, such as mcp (RFC 6749 §3.3)", v)
	}
	return nil
}

func checkOrigin(v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.Scheme+"://"+u.Host != v ||
		v != strings.ToLower(v) || strings.Contains(v, "*") || defaultPort(u) {
		return fmt.Errorf("%q is not an origin as browsers send it: write scheme and host in lower case without a path, "+
			"such as https://app.example.com", v)
	}
	return nil
}

func defaultPort(u *url.URL) bool {
	return u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" || strings.HasSuffix(u.Host, ":")
}

func checkEncryptionKey(v string) error {
	if _, err := seal.ParseMaster(v); err != nil {
		return errors.New("the key is not the base64 of 32 bytes: write a placeholder for the output of: openssl rand -base64 32")
	}
	return nil
}

func checkUser(v string) error {
	at := strings.LastIndexByte(v, '@')
	switch {
	case v == "" || len(v) > maxUser || strings.ContainsFunc(v, notGraphic):
		return fmt.Errorf("%q names nobody: write the sub of the JWT, an Entra object id or an e-mail address, without spaces", v)
	case at == 0 || at > 0 && !isHostname(strings.ToLower(v[at+1:])):
		return fmt.Errorf("%q is not an e-mail address: write one such as jane@example.com, or for everyone there: domain example.com", v)
	}
	return nil
}

func checkRole(v string) error {
	if v == "" || len(v) > maxUser || strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%q is not a role: write the value of the app role as it stands in the ID token, such as MCP.User", v)
	}
	return nil
}

func checkDomain(v string) error {
	if !isHostname(v) || isAddress(v) {
		return fmt.Errorf("%q is not a domain: write it exact and in lower case, without @ or *, such as example.com; "+
			"a domain outside ASCII in its xn-- form", v)
	}
	return nil
}

func checkClientID(v string) error {
	lower := strings.ToLower(v)
	switch {
	case strings.HasPrefix(lower, "dcr_"):
		return fmt.Errorf("%q looks like a client that registered itself: write an id that does not begin with dcr_", v)
	case strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "http://"):
		return fmt.Errorf("%q looks like the URL of a client's metadata document: write a short name, such as build-server", v)
	case v == "" || len(v) > maxUser || strings.ContainsFunc(v, notGraphic):
		return fmt.Errorf("%q is not a client id: write printable ASCII without spaces, such as build-server (RFC 6749 appendix A.1)", v)
	}
	return nil
}

func checkClientSecret(v string) error {
	if v == "" || strings.ContainsFunc(v, notGraphic) {
		return errors.New("the secret is empty or has characters other than printable ASCII without spaces (RFC 6749 appendix A.2): " +
			"write a placeholder for the output of: openssl rand -hex 32")
	}
	return nil
}

func checkRedirectURI(v string) error {
	if err := oauth.CheckRedirectURI(v); err != nil {
		return fmt.Errorf("%q: %s Write the exact URI of the client, such as https://client.example.com/callback",
			v, oauth.AsError(err).Description)
	}
	return nil
}

func checkRedirectHost(v string) error {
	if ip := strings.TrimSuffix(strings.TrimPrefix(v, "["), "]"); isHostname(v) || v == "["+ip+"]" && isAddress(ip) {
		return nil
	}
	return fmt.Errorf("%q is not a host: write the exact host in lower case, without scheme, port, path or *, such as claude.ai", v)
}

func checkSupport(v string) error {
	local, domain, isMail := strings.Cut(v, "@")
	if isMail && local != "" && isHostname(strings.ToLower(domain)) && !strings.ContainsFunc(v, notGraphic) && !strings.ContainsAny(v, `:/?&<>"`) {
		return nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsFunc(v, notGraphic) {
		return fmt.Errorf("%q is no way to reach somebody: write an e-mail address or an https URL, such as helpdesk@example.com", v)
	}
	return nil
}

func checkEvents(v string) error {
	if n, err := strconv.Atoi(v); err != nil || n < 1 || n > maxEvents || strconv.Itoa(n) != v {
		return fmt.Errorf("%q is not a number of events: write 1 to %d, such as 20", v, maxEvents)
	}
	return nil
}

func checkWindow(v string) error {
	d, err := surface.ParseDuration(v)
	if err != nil {
		return err
	}
	if d < time.Second || d > 24*time.Hour {
		return fmt.Errorf("%q is not a window: write 1s to 24h, such as 1m", v)
	}
	return nil
}

// notGraphic is true for everything but %x21-7E.
func notGraphic(r rune) bool { return r < 0x21 || r > 0x7e }

// isHostname tells whether v is a host name in lower case (RFC 1123 §2.1).
func isHostname(v string) bool {
	if len(v) > 253 {
		return false
	}
	for label := range strings.SplitSeq(v, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

func isAddress(v string) bool {
	_, err := netip.ParseAddr(v)
	return err == nil
}
