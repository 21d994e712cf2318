// SPDX-License-Identifier: Apache-2.0

package entratest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"time"
)

// grant is what stands behind a code or a refresh token.
type grant struct {
	kind        string // "code" or "refresh"
	user        User
	scopes      []string
	redirectURI string
	nonce       string
	challenge   string
	method      string
	issued      time.Time
	authTime    time.Time
	used        bool
}

const (
	codeLife = 10 * time.Minute
	idleLife = 90 * 24 * time.Hour // a refresh token that is not used
)

// issue keeps a grant and returns its token, about as long as the real ones.
func (s *server) issue(g *grant) string {
	token := "1." + s.random(700)
	s.mu.Lock()
	defer s.mu.Unlock()
	g.issued = s.now()
	s.grants[token] = g
	return token
}

// find returns a copy of the grant behind a token.
func (s *server) find(kind, token string) (grant, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.grants[token]
	if !ok || g.kind != kind {
		return grant{}, false
	}
	return *g, true
}

// spend marks a code as used; false where it was before.
func (s *server) spend(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.grants[token]
	first := !g.used
	g.used = true
	return first
}

// isRevoked tells whether the user's sessions were revoked after the token was issued.
func (s *server) isRevoked(g grant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.revoked[g.user.Username]
	return ok && !g.issued.After(at)
}

// RevokeSessions ends every refresh token that the user has.
func (s *server) RevokeSessions(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked[username] = s.now()
}

// verifierFits applies RFC 7636 §4.6.
func (g grant) verifierFits(verifier string) bool {
	switch {
	case g.challenge == "":
		return true
	case g.method == "S256":
		sum := sha256.Sum256([]byte(verifier))
		verifier = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return subtle.ConstantTimeCompare([]byte(verifier), []byte(g.challenge)) == 1
}
