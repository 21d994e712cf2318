// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TLSName is what the certificate of StartTLS is for; it has no address in it.
const TLSName = "redis.test"

// Files are those that a client of StartTLS needs.
type Files struct {
	// CA is the authority of the server, Cert and Key are what the client shows.
	CA, Cert, Key string
}

// StartTLS starts a server that speaks TLS alone and wants a certificate of the client.
func StartTLS(t testing.TB) (*Server, Files) {
	t.Helper()
	s := newServer(t)
	f := makeFiles(t, s.Dir)
	port := s.config("port")
	s.lines = append(s.lines, "port 0", "tls-"+port, "tls-ca-cert-file "+f.CA, "tls-auth-clients yes",
		"tls-cert-file "+filepath.Join(s.Dir, "server.pem"), "tls-key-file "+filepath.Join(s.Dir, "server.key"))
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	check(t, err)
	pool, pemText := x509.NewCertPool(), read(t, f.CA)
	pool.AppendCertsFromPEM(pemText)
	s.client = &redis.Options{Addr: s.Addr, TLSConfig: &tls.Config{ServerName: TLSName, RootCAs: pool, Certificates: []tls.Certificate{pair}}}
	s.Run(t)
	return s, f
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	check(t, err)
	return raw
}

// makeFiles makes an authority and what it signs.
func makeFiles(t testing.TB, dir string) Files {
	t.Helper()
	ca := &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caKey := issue(t, dir, "ca", ca, ca, nil)
	issue(t, dir, "server", &x509.Certificate{
		DNSNames: []string{TLSName}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca, caKey)
	issue(t, dir, "client", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, ca, caKey)
	name := func(n string) string { return filepath.Join(dir, n) }
	return Files{CA: name("ca.pem"), Cert: name("client.pem"), Key: name("client.key")}
}

// issue writes a certificate and its key; without a key of the authority it signs itself.
func issue(t testing.TB, dir, name string, c, by *x509.Certificate, byKey *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	if byKey == nil {
		byKey = key
	}
	c.SerialNumber, c.Subject = big.NewInt(int64(len(name))), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Unix(0, 0), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, byKey)
	check(t, err)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	for file, block := range map[string]*pem.Block{
		name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: raw},
	} {
		check(t, os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600))
	}
	return key
}
