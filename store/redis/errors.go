// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// remedies are what an administrator has to do about an answer of the server, by how it
// begins. None of these answers says anything about a record.
var remedies = []struct{ answer, remedy string }{
	{"NOAUTH", "the server asks for a password: set password, and username for an ACL user"},
	{"WRONGPASS", "the server refuses the name or the password: correct username and password"},
	{"ERR invalid password", "the server refuses the password: correct password"},
	{"ERR AUTH", "the server has no password: remove password"},
	{"ERR Client sent AUTH", "the server has no password: remove password"},
	{"NOPERM", "the user lacks rights: give it what docs/stores.md lists under Redis"},
	{"ERR DB index", "the server has no such database: correct db"},
	{"ERR SELECT", "this server has database 0 alone: remove db"},
	{"ERR invalid DB index", "the server has no such database: correct db"},
	{"MOVED", "the server belongs to a cluster: add the word cluster"},
	{"CROSSSLOT", "the server belongs to a cluster: add the word cluster"},
	{"ERR This instance has cluster support disabled", "the server is not a cluster: remove the word cluster"},
	{"READONLY", "the server is a replica, which cannot write: give the address of the primary, or that of a Sentinel with the word sentinel"},
	{"MISCONF", "the server cannot write to its disk and refuses writes: see its log"},
	{"OOM", "the memory of the server is full: give it more, maxmemory"},
	{"NOREPLICAS", "the server has too few replicas and refuses writes: see min-replicas-to-write"},
	{"ERR max number of clients", "the server has too many connections: raise maxclients"},
	{"DENIED", "the server lets nobody in from another machine: see its protected-mode"},
	{"WRONGTYPE", "something else uses these keys: set another prefix"},
}

// refusals are the answers to writes of a server that goes on reading. A replica is not
// among them: what it reads may be old.
var refusals = []string{"MISCONF", "OOM", "NOREPLICAS"}

// explain turns an error of the library into one that says what to do. It stays unknown:
// whatever a server answers beside a record or nothing is no answer about a record.
func explain(err error) error {
	if err == nil {
		return nil
	}
	var answer redis.Error
	if errors.As(err, &answer) {
		for _, r := range remedies {
			if strings.HasPrefix(answer.Error(), r.answer) {
				if slices.Contains(refusals, r.answer) {
					err = fmt.Errorf("%w: %w", store.ErrRefused, err)
				}
				return fmt.Errorf("%s (%w)", r.remedy, err)
			}
		}
	}
	return explainConnection(err)
}

func explainConnection(err error) error {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var header tls.RecordHeaderError
	var dial *net.OpError
	text := err.Error()
	switch {
	case errors.As(err, &authority):
		return fmt.Errorf("the certificate of the server is from an authority that is not trusted: name that authority with tls_trust_pool file <pem> (%w)", err)
	case errors.As(err, &host), strings.Contains(text, "doesn't contain any IP SANs"):
		return fmt.Errorf("the certificate of the server is for another name: write the name with tls_server_name (%w)", err)
	case errors.As(err, &header):
		return fmt.Errorf("the server does not speak TLS at this port: remove tls, or write the port that does (%w)", err)
	case strings.Contains(text, "certificate required"), strings.Contains(text, "bad certificate"), strings.Contains(text, "handshake failure"):
		return fmt.Errorf("the server wants another certificate from this side: set tls_client_auth <cert> <key> (%w)", err)
	case strings.Contains(text, "invalid reply"), strings.Contains(text, "can't parse"):
		return fmt.Errorf("what answers does not speak the protocol of Redis: write tls if the port wants it, and check the address (%w)", err)
	case strings.Contains(text, "all sentinels specified in configuration are unreachable"):
		return fmt.Errorf("no Sentinel at these addresses knows the master: check that they run and that sentinel names the master as they do (%w)", err)
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Errorf("nothing answers at the address: check it, and that the server runs and lets this machine in (%w)", err)
	}
	return err
}

// explainOpening says more about an error of the first connection: servers that want TLS,
// no TLS or a certificate often only hang up or stay silent.
func (o Options) explainOpening(err error) error {
	hangsUp := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	silent := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
	switch {
	case hangsUp && o.TLS == nil:
		return fmt.Errorf("the server hangs up: write tls if the port wants it, and check the address (%w)", err)
	case hangsUp && len(o.TLS.Certificates) == 0 && o.TLS.GetClientCertificate == nil:
		return fmt.Errorf("the server hangs up: if it asks for a certificate, set tls_client_auth <cert> <key> (%w)", err)
	case silent && o.TLS != nil:
		return fmt.Errorf("the server does not answer: check the address, and remove tls if the port does not speak TLS (%w)", err)
	case silent:
		return fmt.Errorf("the server does not answer: check the address, and write tls if the port wants it (%w)", err)
	}
	return err
}
