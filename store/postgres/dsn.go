// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

// The errors of this file repeat nothing of a dsn but its words, since it may hold a
// password.
var (
	errDSN     = errors.New("the dsn cannot be read: write postgres://<user>:<password>@<host>:5432/<database>?sslmode=verify-full, with %-encoding where the password has one of :/?#[]@%")
	errNoHost  = errors.New("the dsn names no host: write postgres://<user>:<password>@<host>:5432/<database>")
	errNoName  = errors.New("the dsn names no database: write postgres://<user>:<password>@<host>:5432/<database>")
	errSSLMode = errors.New("sslmode in the dsn is none of disable, allow, prefer, require, verify-ca and verify-full")
)

// words are what a dsn may say: the parameters of libpq that the driver heeds
// (https://www.postgresql.org/docs/current/libpq-connect.html), and settings of the
// session that make sense here. The driver passes any other word on to the server.
var words = []string{
	"host", "port", "database", "dbname", "user", "password", "passfile", "service", "servicefile", "connect_timeout",
	"sslmode", "sslkey", "sslcert", "sslcertmode", "sslrootcert", "sslnegotiation", "sslpassword", "sslsni",
	"krbspn", "krbsrvname", "target_session_attrs", "min_protocol_version", "max_protocol_version",
	"channel_binding", "require_auth", "default_query_exec_mode", "statement_cache_capacity", "description_cache_capacity",
	"application_name", "search_path", "role", "options", "statement_timeout", "lock_timeout", "synchronous_commit",
}

// pairs are the words of a dsn in the form "word=value word='value'".
func pairs(dsn string) (map[string]string, bool) {
	out := make(map[string]string)
	for rest := strings.TrimSpace(dsn); rest != ""; rest = strings.TrimSpace(rest) {
		word, after, ok := strings.Cut(rest, "=")
		if !ok {
			return nil, false
		}
		value, tail, ok := pairValue(strings.TrimLeft(after, " \t\n"))
		if !ok {
			return nil, false
		}
		out[strings.TrimSpace(word)], rest = value, tail
	}
	return out, true
}

// pairValue reads one value, quoted or not, in which a backslash escapes.
func pairValue(text string) (value, rest string, ok bool) {
	quoted := strings.HasPrefix(text, "'")
	if quoted {
		text = text[1:]
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			out.WriteByte(text[i])
		case quoted && c == '\'':
			return out.String(), text[i+1:], true
		case !quoted && strings.IndexByte(" \t\n", c) >= 0:
			return out.String(), text[i:], true
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), "", !quoted
}

// settings are the words of a dsn in either form.
func settings(dsn string) (map[string]string, error) {
	if !strings.HasPrefix(dsn, "postgres://") && !strings.HasPrefix(dsn, "postgresql://") {
		out, ok := pairs(dsn)
		if !ok || len(out) == 0 {
			return nil, errDSN
		}
		return out, nil
	}
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, errDSN
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errDSN
	}
	out := map[string]string{"host": u.Host, "dbname": strings.TrimPrefix(u.Path, "/")}
	for word, values := range query {
		out[word] = values[0]
	}
	return out, nil
}

// CheckDSN checks a dsn: a URL postgres://..., or words such as "host=db dbname=mcp". A
// word that the driver does not know is an error, since it would be taken for a setting of
// the session or be ignored.
func CheckDSN(dsn string) error {
	given, err := settings(dsn)
	if err != nil {
		return err
	}
	for word := range given {
		if strings.HasPrefix(word, "pool_") {
			return fmt.Errorf("%q in the dsn is a word of another pool: write max_conns in the block", word)
		}
		if !slices.Contains(words, word) {
			return fmt.Errorf("%q in the dsn is not known: remove it; the words are %s", word, strings.Join(words, ", "))
		}
	}
	modes := []string{"", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"}
	switch {
	case !slices.Contains(modes, given["sslmode"]):
		return errSSLMode
	case given["service"] != "":
	case given["host"] == "":
		return errNoHost
	case given["dbname"] == "" && given["database"] == "":
		return errNoName
	}
	_, err = parse(secret.New(dsn))
	return err
}

// parse makes the driver's configuration. TLS is required where nothing else is written,
// but for a server on the same machine: the driver's own default falls back to plaintext
// without a word.
func parse(dsn secret.String) (*pgx.ConnConfig, error) {
	given, err := settings(dsn.Reveal())
	if err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(dsn.Reveal())
	if err == nil && given["sslmode"] == "" && given["service"] == "" && !local(config) {
		config, err = pgx.ParseConfig(requireTLS(dsn.Reveal()))
	}
	if err != nil {
		return nil, errDSN
	}
	if given["target_session_attrs"] == "" && len(servers(config)) > 1 {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "mcp_oauth"
	}
	return config, nil
}

func requireTLS(dsn string) string {
	switch {
	case !strings.Contains(dsn, "://"):
		return dsn + " sslmode=require"
	case strings.Contains(dsn, "?"):
		return dsn + "&sslmode=require"
	default:
		return dsn + "?sslmode=require"
	}
}

// local tells whether every host is this machine.
func local(config *pgx.ConnConfig) bool {
	all := []string{config.Host}
	for _, f := range config.Fallbacks {
		all = append(all, f.Host)
	}
	return !slices.ContainsFunc(all, func(host string) bool {
		ip := net.ParseIP(host)
		return !strings.HasPrefix(host, "/") && host != "localhost" && (ip == nil || !ip.IsLoopback())
	})
}

// servers are the hosts with their ports, each once, sorted. The driver repeats a host for
// each way in which TLS is tried.
func servers(config *pgx.ConnConfig) []string {
	all := []string{net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))}
	for _, f := range config.Fallbacks {
		all = append(all, net.JoinHostPort(f.Host, strconv.Itoa(int(f.Port))))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// identity names the data: servers, database and tables, and no user.
func identity(dsn secret.String, prefix string) string {
	config, err := parse(dsn)
	if err != nil {
		return ""
	}
	name := "postgres " + strings.Join(servers(config), ",") + "/" + config.Database + " "
	if path := config.RuntimeParams["search_path"]; path != "" {
		name += path + "."
	}
	return name + prefix + "*"
}
