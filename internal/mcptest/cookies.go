// SPDX-License-Identifier: Apache-2.0

package mcptest

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// cookies is a jar that knows SameSite, which the jar of the standard library does not,
// and refuses what browsers drop without a word.
type cookies struct {
	jar    *cookiejar.Jar
	strict map[string]bool // names of cookies that are SameSite=Strict
	none   map[string]bool // names of cookies that are SameSite=None
}

func (c *cookies) init() error {
	if c.jar != nil {
		return nil
	}
	c.strict, c.none = map[string]bool{}, map[string]bool{}
	var err error
	c.jar, err = cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List})
	return err
}

// receive keeps the cookies of an answer.
func (c *cookies) receive(from *url.URL, set []*http.Cookie) error {
	if err := c.init(); err != nil {
		return err
	}
	for _, k := range set {
		if err := acceptable(from, k); err != nil {
			return fmt.Errorf("browsers drop cookie %s: %w", k.Name, err)
		}
		c.strict[k.Name] = k.SameSite == http.SameSiteStrictMode
		c.none[k.Name] = k.SameSite == http.SameSiteNoneMode
	}
	c.jar.SetCookies(from, set)
	return nil
}

// send adds the cookies that belong to a request. A cookie without SameSite is Lax, as
// Chromium has it: another site's navigation brings it along only with a safe method.
func (c *cookies) send(req *http.Request, n *navigation) {
	if c.jar == nil {
		return
	}
	foreign := n.initiator != nil && !sameSite(n.initiator, n.target)
	for _, k := range c.jar.Cookies(n.target) {
		switch {
		case foreign && c.strict[k.Name]:
		case foreign && n.method == http.MethodPost && !c.none[k.Name]:
		default:
			req.AddCookie(k)
		}
	}
}

// acceptable holds a cookie to the rules of RFC 6265bis §4.1.3 (prefixes) and §5.7.
func acceptable(from *url.URL, k *http.Cookie) error {
	secureOrigin := from.Scheme == "https" || loopback(from)
	switch {
	case k.Secure && !secureOrigin:
		return fmt.Errorf("it is Secure, but set by %s", origin(from))
	case k.SameSite == http.SameSiteNoneMode && !k.Secure:
		return fmt.Errorf("it is SameSite=None without Secure")
	case strings.HasPrefix(k.Name, "__Secure-") && !k.Secure:
		return fmt.Errorf("its prefix demands Secure")
	case strings.HasPrefix(k.Name, "__Host-") && (!k.Secure || k.Path != "/" || k.Domain != ""):
		return fmt.Errorf("its prefix demands Secure, Path=/ and no Domain")
	case len(k.Name)+len(k.Value) > 4096:
		return fmt.Errorf("it is longer than 4096 bytes")
	}
	return nil
}
