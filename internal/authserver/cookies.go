// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

const (
	cookieLife = 10 * time.Minute
	// maxOpen is how many consent pages one browser may have open, and how many logins
	// under way; the oldest go.
	maxOpen = 10
)

// A login has two cookies, both named by package seal: the form key proves that the answer
// came from a page shown to this browser, the binding that the provider's answer comes
// back to it.

func (s *Server) setCookie(w http.ResponseWriter, name, value string) {
	http.SetCookie(w, s.cookie(name, value, int(cookieLife/time.Second)))
}

func (s *Server) dropCookie(w http.ResponseWriter, name string) {
	http.SetCookie(w, s.cookie(name, "", -1))
}

// cookie is Lax: the provider's answer is a cross-site navigation, which Strict loses.
func (s *Server) cookie(name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge,
		Secure: s.https, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// endLogin removes both cookies of a login; every path that ends one calls it.
func (s *Server) endLogin(w http.ResponseWriter, tid [16]byte) {
	s.dropCookie(w, seal.FormCookie(s.site, tid, s.https))
	s.dropCookie(w, seal.BindingCookie(s.site, tid, s.https))
}

// formKey returns the form key of this browser for a consent page, and makes one where
// there is none. A reload or a second tab finds the key of the first, so all of them work.
func (s *Server) formKey(w http.ResponseWriter, r *http.Request, tid [16]byte) (string, error) {
	name := seal.FormCookie(s.site, tid, s.https)
	if c, err := r.Cookie(name); err == nil && s.freshKey(c.Value) {
		return c.Value, nil
	}
	key, err := seal.NewFormKey(s.Rand, s.Now())
	if err != nil {
		return "", err
	}
	s.makeRoom(w, r, name)
	s.setCookie(w, name, key)
	return key, nil
}

// setBinding ties the login to this browser.
func (s *Server) setBinding(w http.ResponseWriter, r *http.Request, tid [16]byte, value string) {
	name := seal.BindingCookie(s.site, tid, s.https)
	s.makeRoom(w, r, name)
	s.setCookie(w, name, value)
}

func (s *Server) freshKey(key string) bool {
	issued, _, ok := seal.ParseFormKey(key)
	return ok && s.Now().Sub(issued) < cookieLife
}

// makeRoom drops the oldest cookies like name where there are too many: a browser that
// opens consent pages for ever must not collect cookies until a server refuses them.
func (s *Server) makeRoom(w http.ResponseWriter, r *http.Request, name string) {
	const tail = 16 // hex digits that tell one login from another
	prefix := name[:len(name)-tail]
	var found []string
	born := map[string]time.Time{}
	for _, c := range r.Cookies() {
		if id, ok := strings.CutPrefix(c.Name, seal.FormCookiePrefix(s.site, s.https)); ok {
			born[id], _, _ = seal.ParseFormKey(c.Value)
		}
		if strings.HasPrefix(c.Name, prefix) && c.Name != name && !slices.Contains(found, c.Name) {
			found = append(found, c.Name)
		}
	}
	age := func(n string) time.Time { return born[n[len(prefix):]] }
	slices.SortStableFunc(found, func(a, b string) int { return age(a).Compare(age(b)) })
	for len(found) >= maxOpen {
		s.dropCookie(w, found[0])
		found = found[1:]
	}
}
