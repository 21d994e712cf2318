// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Target is what one text says about a server: a URL, or the connection string that the
// Azure portal shows.
type Target struct {
	// Addresses are host:port, or one path of a unix socket.
	Addresses []string
	// Username, Password and ServerName are empty where the text does not say.
	Username, Password, ServerName string
	// Sentinel is the name of a master; a connection string calls it serviceName.
	Sentinel string
	// DB is the number of the database, -1 where the text does not say.
	DB int
	// TLS tells whether the text asks for it.
	TLS bool
}

const urlForms = "write redis://host:6379, rediss://host:6380, unix:///run/redis.sock, or the connection string of the Azure portal"

var errURL = errors.New("it is not the address of a Redis: " + urlForms)

// ParseTarget reads redis://, rediss:// and unix:// URLs and connection strings. Its
// errors never repeat what could be a password.
func ParseTarget(text string) (Target, error) {
	scheme, _, isURL := strings.Cut(text, "://")
	if !isURL || strings.Contains(scheme, ",") {
		return parseConnectionString(text)
	}
	u, err := url.Parse(text)
	if err != nil {
		return Target{}, fmt.Errorf("%w; inside a URL, write characters of a password such as / : @ %% as %%2F %%3A %%40 %%25", errURL)
	}
	t := Target{DB: -1, TLS: u.Scheme == "rediss"}
	t.Username = u.User.Username()
	t.Password, _ = u.User.Password()
	switch {
	case u.Fragment != "" || u.Opaque != "":
		return Target{}, errURL
	case u.Scheme == "unix":
		return t.unix(u)
	case u.Scheme != "redis" && u.Scheme != "rediss":
		return Target{}, errURL
	case u.RawQuery != "":
		return Target{}, errors.New("it has a query: write what it says as words of the block")
	}
	address, err := withPort(u.Host)
	if err != nil {
		return Target{}, err
	}
	t.Addresses = []string{address}
	if path := strings.TrimPrefix(u.Path, "/"); path != "" {
		if err := CheckDB(path); err != nil {
			return Target{}, err
		}
		t.DB, _ = strconv.Atoi(path)
	}
	return t, nil
}

func (t Target) unix(u *url.URL) (Target, error) {
	if u.Host != "" || len(u.Path) < 2 || u.RawQuery != "" {
		return Target{}, errors.New("a unix socket is written with three slashes, and nothing behind its path, such as unix:///run/redis.sock: write it so")
	}
	t.Addresses = []string{u.Path}
	return t, nil
}

// withPort checks host or host:port and adds the port that Redis has.
func withPort(address string) (string, error) {
	if !strings.Contains(strings.TrimPrefix(address, "["), ":") || strings.HasSuffix(address, "]") {
		address += ":6379"
	}
	return address, CheckAddress(address)
}

// CheckAddress checks host:port.
func CheckAddress(text string) error {
	host, port, err := net.SplitHostPort(text)
	n, err2 := strconv.ParseUint(port, 10, 16)
	if err != nil || err2 != nil || n == 0 || host == "" || strings.ContainsAny(host, "/@, \t=") {
		return errors.New("it is not host:port: write such as redis.example.com:6379")
	}
	return nil
}

// CheckDB checks the number of a database.
func CheckDB(text string) error {
	if n, err := strconv.Atoi(text); err != nil || n < 0 || n > 1<<20 {
		return errors.New("it is not the number of a database: write a whole number such as 0")
	}
	return nil
}

// tuning are the options of a connection string that only tune the library it is made for.
var tuning = map[string]bool{
	"abortconnect": true, "allowadmin": true, "asynctimeout": true, "channelprefix": true, "configcheckseconds": true,
	"connectretry": true, "connecttimeout": true, "keepalive": true, "name": true, "protocol": true, "resolvedns": true,
	"responsetimeout": true, "setlib": true, "synctimeout": true, "version": true, "writebuffer": true,
}

// parseConnectionString reads host:port,option=value,… as StackExchange.Redis does: the
// case of options does not matter, and a value may contain further equals signs.
func parseConnectionString(text string) (Target, error) {
	t := Target{DB: -1}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		name, value, isOption := strings.Cut(part, "=")
		var err error
		switch {
		case part == "":
			continue
		case isOption:
			err = t.option(strings.TrimSpace(name), strings.TrimSpace(value))
		default:
			var address string
			address, err = withPort(part)
			t.Addresses = append(t.Addresses, address)
		}
		if err != nil {
			return Target{}, err
		}
	}
	if len(t.Addresses) == 0 {
		return Target{}, errURL
	}
	return t, nil
}

func (t *Target) option(name, value string) error {
	switch strings.ToLower(name) {
	case "password":
		t.Password = value
	case "user":
		t.Username = value
	case "sslhost":
		t.ServerName = value
	case "servicename":
		t.Sentinel = value
	case "ssl":
		on, err := strconv.ParseBool(strings.ToLower(value))
		if err != nil {
			return errors.New("its ssl is neither True nor False: write one of them")
		}
		t.TLS = on
	case "defaultdatabase":
		if err := CheckDB(value); err != nil {
			return fmt.Errorf("its defaultDatabase: %w", err)
		}
		t.DB, _ = strconv.Atoi(value)
	default:
		if !tuning[strings.ToLower(name)] {
			return fmt.Errorf("its option %q is not known here: remove it, and write what it says as a word of the block", name)
		}
	}
	return nil
}
