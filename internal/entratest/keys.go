// SPDX-License-Identifier: Apache-2.0

package entratest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // x5t is a SHA-1 thumbprint by definition (RFC 7517 §4.8)
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"sync"
	"time"
)

// signingKey is a published key.
type signingKey struct {
	id      string
	private *rsa.PrivateKey
	cert    []byte // DER
}

// pool are the keys of all servers of the process, made when they are needed: making
// them is slow, and which server uses which does not matter.
var pool struct {
	sync.Mutex
	keys []*signingKey
}

// The first keys of the pool have a purpose of their own; those from firstKey on sign.
const (
	foreignKey  = 0 // nobody publishes it
	personalKey = 1 // of personal accounts
	firstKey    = 2
)

// poolKey returns the nth key of the process.
func poolKey(n int) *signingKey {
	pool.Lock()
	defer pool.Unlock()
	for len(pool.keys) <= n {
		pool.keys = append(pool.keys, newSigningKey(len(pool.keys)))
	}
	return pool.keys[n]
}

func newSigningKey(n int) *signingKey {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic("entratest: making a key: " + err.Error())
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(n) + 1),
		Subject:      pkix.Name{CommonName: "accounts.accesscontrol.windows.example"},
		NotBefore:    time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		panic("entratest: making a certificate: " + err.Error())
	}
	sum := sha1.Sum(cert) //nolint:gosec // see the import
	return &signingKey{id: base64.RawURLEncoding.EncodeToString(sum[:]), private: private, cert: cert}
}

// jwk is the public key as Microsoft publishes it: without alg.
func (k *signingKey) jwk() map[string]any {
	e := big.NewInt(int64(k.private.E)).Bytes()
	return map[string]any{
		"kty": "RSA", "use": "sig", "kid": k.id, "x5t": k.id,
		"n":   base64.RawURLEncoding.EncodeToString(k.private.N.Bytes()),
		"e":   base64.RawURLEncoding.EncodeToString(e),
		"x5c": []string{base64.StdEncoding.EncodeToString(k.cert)},
	}
}

// signer returns the key that signs.
func (s *server) signer() *signingKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[len(s.keys)-1]
}

func (s *server) published() []*signingKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*signingKey(nil), s.keys...)
}

// RotateKeys publishes a new key and signs with it at once. With remove the older keys
// disappear, as in an emergency.
func (s *server) RotateKeys(remove bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := firstKey
	for _, k := range s.keys {
		for n := 0; ; n++ {
			if poolKey(n) == k {
				next = max(next, n+1)
				break
			}
		}
	}
	if remove {
		s.keys = nil
	}
	s.keys = append(s.keys, poolKey(next))
}
