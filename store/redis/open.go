// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Options say which Redis, and how to talk to it.
type Options struct {
	// Addresses are host:port of the server, of some nodes of a cluster, or of Sentinels;
	// or one path of a unix socket, beginning with a slash. At least one.
	Addresses []string
	// Cluster tells whether the addresses are those of a Redis Cluster.
	Cluster bool
	// Sentinel is the name of the master that Sentinels at the addresses watch over.
	Sentinel string
	// Username and Password are those of an ACL user; without a name the password is that
	// of the default user.
	Username string
	Password secret.String
	// DB is the number of the database. A cluster has number 0 alone.
	DB int
	// Prefix begins every key. Default: DefaultPrefix.
	Prefix string
	// TLS is how to speak TLS; nil means not at all. Without a ServerName in it, the name
	// of the address is what the certificate must be for.
	TLS *tls.Config
}

// DefaultPrefix begins every key where no other prefix is set.
const DefaultPrefix = "mcp_oauth:"

// Identity names the data. It holds no secret.
func (o Options) Identity() string {
	what := "redis " + strings.Join(o.Addresses, " ")
	switch {
	case o.Sentinel != "":
		what += " sentinel " + o.Sentinel
	case o.Cluster:
		what += " cluster"
	}
	if o.DB != 0 {
		what += fmt.Sprintf(" db %d", o.DB)
	}
	if o.Prefix != "" && o.Prefix != DefaultPrefix {
		what += " prefix " + o.Prefix
	}
	return what
}

// How long things take at most. Callers have deadlines of their own, which are shorter.
const (
	dialTimeout = 2 * time.Second
	callTimeout = 2 * time.Second
	openTimeout = 5 * time.Second
)

// Open connects to Redis and finds out whether it can be used. The error says what an
// administrator has to do.
func Open(ctx context.Context, o Options, env store.Env) (*Store, error) {
	node := make([]byte, 8)
	if _, err := io.ReadFull(env.Rand, node); err != nil {
		return nil, fmt.Errorf("naming this node: %w", err)
	}
	s := &Store{client: redis.NewUniversalClient(o.universal()), prefix: o.Prefix, now: env.Now, node: hex.EncodeToString(node)}
	if s.prefix == "" {
		s.prefix = DefaultPrefix
	}
	keepQuiet(env.Log)
	s.ending, s.end = context.WithCancel(context.Background())
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := s.checkLayout(ctx); err != nil {
		return nil, errors.Join(o.explainOpening(err), s.Close())
	}
	s.warnOfEviction(ctx, env.Log, o.Identity())
	return s, nil
}

// universal are the options of the library. Nothing is sent again behind our back where
// that can be avoided: a write whose outcome is unknown is repeated by the caller, who
// knows for how long.
func (o Options) universal() *redis.UniversalOptions {
	u := &redis.UniversalOptions{
		Addrs: o.Addresses, IsClusterMode: o.Cluster, MasterName: o.Sentinel,
		Username: o.Username, Password: o.Password.Reveal(), DB: o.DB, TLSConfig: o.tlsConfig(),
		Protocol: 2, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		MaxRetries:               -1, DialerRetries: 1,
		DialTimeout: dialTimeout, ReadTimeout: callTimeout, WriteTimeout: callTimeout, PoolTimeout: callTimeout,
		ContextTimeoutEnabled: true, PipelinePoolSize: -1,
		PoolSize: 16, ConnMaxIdleTime: 5 * time.Minute,
	}
	if o.unix() {
		u.Dialer = func(ctx context.Context, _, addr string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "unix", addr)
		}
	}
	return u
}

func (o Options) unix() bool { return len(o.Addresses) == 1 && strings.HasPrefix(o.Addresses[0], "/") }

// tlsConfig fills in the name that certificates are for. The nodes of a cluster announce
// themselves by number; where the cluster has one address, its certificates are for that.
func (o Options) tlsConfig() *tls.Config {
	if o.TLS == nil {
		return nil
	}
	c := o.TLS.Clone()
	c.MinVersion = tls.VersionTLS12
	if host, _, err := net.SplitHostPort(o.Addresses[0]); err == nil && c.ServerName == "" && o.Cluster && len(o.Addresses) == 1 {
		c.ServerName = host
	}
	return c
}
