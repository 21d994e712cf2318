// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
)

func checkURL(text string) error {
	_, err := ParseTarget(text)
	return err
}

// checkWord checks a name: of a master, a user, a host, or the beginning of keys.
func checkWord(text string) error {
	if text == "" || len(text) > 128 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return errors.New("it is empty, longer than 128 bytes, or has a space in it: write it without")
	}
	return nil
}

func checkText(text string) error {
	if text == "" || strings.ContainsRune(text, 0) {
		return errors.New("it is empty or contains a NUL: write a value")
	}
	return nil
}

// checkTogether checks which words are there, whatever they say.
func (m *Module) checkTogether() error {
	var fault string
	switch {
	case m.URL == "" && len(m.Address) == 0:
		fault = "it has no address: write store redis redis://host:6379, or address <host:port>... in the block"
	case m.URL != "" && len(m.Address) > 0:
		fault = "it has a url and an address: write one of them"
	case m.Cluster && m.Sentinel != "":
		fault = "it has cluster and sentinel: a Cluster has no Sentinel, keep one of them"
	case m.Cluster && m.DB != "":
		fault = "it has cluster and db: a Cluster has database 0 alone, remove db"
	case m.Username != "" && m.Password == "" && m.URL == "":
		fault = "username has no password: write password <password>"
	case len(m.TLSClientAuth) != 0 && len(m.TLSClientAuth) != 2:
		fault = "tls_client_auth takes a certificate and a key: write tls_client_auth <cert> <key>"
	default:
		return nil
	}
	return fmt.Errorf("%s: %s", place, fault)
}

// check checks what the words and the URL say together.
func (o Options) check() error {
	unix := false
	for _, a := range o.Addresses {
		unix = unix || strings.HasPrefix(a, "/")
	}
	switch {
	case unix && o.TLS != nil:
		return errors.New("a unix socket does not speak TLS: remove the words that begin with tls")
	case unix && (o.Cluster || o.Sentinel != ""):
		return errors.New("cluster and sentinel need addresses of the form host:port: write those instead of a unix socket")
	case o.Cluster && o.Sentinel != "":
		return errors.New("it has cluster and sentinel: a Cluster has no Sentinel, keep one of them")
	case o.Cluster && o.DB != 0:
		return errors.New("a Cluster has database 0 alone: remove its number from the url")
	case !o.Cluster && o.Sentinel == "" && len(o.Addresses) > 1:
		return errors.New("it has several addresses: add cluster if they are nodes of a Cluster, sentinel <master> if they are Sentinels, or write one address")
	case o.Username != "" && o.Password.IsZero():
		return errors.New("username has no password: write password <password>")
	}
	return nil
}

// clientCertificate reads the files for each connection, so that certificates which are
// renewed on the disk are used without a reload.
func clientCertificate(cert, key string) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("the files of tls_client_auth cannot be used: %w", err)
		}
		return &pair, nil
	}
}
