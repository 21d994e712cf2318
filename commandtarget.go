// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/transfer"
)

// target is a store as a command reaches it.
type target interface {
	export(w io.Writer) error
	take(stream io.ReadSeeker) (transfer.Result, error)
	check() ([]siteCheck, error)
	keyTarget
	sessionTarget
	close() error
}

// findTarget reads the flags. A store that a running server has open belongs to it, and
// is reached through its admin API; any other is opened here.
func findTarget(flags caddycmd.Flags) (target, error) {
	address, issuer := flags.String("address"), flags.String("issuer")
	if issuer == "" && flags.Changed("issuer") {
		return nil, errEmptyIssuer
	}
	adapter := flags.String("adapter")
	config, file, _, err := caddycmd.LoadConfig(flags.String("config"), adapter)
	if err != nil {
		return nil, err
	}
	var local *localStore
	if file != "" {
		if local, err = provision(config, issuer); err != nil {
			return nil, err
		}
	}
	where, err := caddycmd.DetermineAdminAPIAddress(address, config, file, adapter)
	if err != nil {
		return nil, err
	}
	remote := &serverStore{address: where, issuer: issuer}
	loaded, err := remote.sites()
	switch {
	case err != nil && (address != "" || local == nil):
		return nil, fmt.Errorf("asking the server: %w", err)
	case err != nil: // no server is running
		return local, nil
	case local == nil || slices.ContainsFunc(loaded, func(s loadedSite) bool { return s.Store == local.sel.sites[0].key.store }):
		return remote, nil
	default:
		return local, nil
	}
}

// serverStore is a store that a running server has open.
type serverStore struct{ address, issuer string }

func (r *serverStore) ask(method, path string, body io.Reader) (*http.Response, error) {
	query := ""
	if r.issuer != "" {
		query = "?" + url.Values{"issuer": {r.issuer}}.Encode()
	}
	return caddycmd.AdminAPIRequest(r.address, method, "/mcp_oauth/"+path+query, nil, body)
}

// askFor decodes an answer into v.
func (r *serverStore) askFor(v any, method, path string, body io.Reader) error {
	resp, err := r.ask(method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(v)
}

// tell posts what is meant as JSON and decodes the answer into v.
func (r *serverStore) tell(v any, path string, meant any) error {
	body, err := json.Marshal(meant)
	if err != nil {
		return err
	}
	return r.askFor(v, http.MethodPost, path, bytes.NewReader(body))
}

func (r *serverStore) sites() (all []loadedSite, err error) {
	return all, r.askFor(&all, http.MethodGet, "sites", nil)
}

func (r *serverStore) export(w io.Writer) error {
	resp, err := r.ask(http.MethodGet, "store/export", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return copyWhole(w, resp.Body)
}

// copyWhole copies a stream and makes sure that it is whole: a server that fails on the
// way has already said that all is well.
func copyWhole(w io.Writer, r io.Reader) error {
	read, write := io.Pipe()
	verified := make(chan error, 1)
	go func() {
		err := transfer.Check(read)
		_, _ = io.Copy(io.Discard, read)
		verified <- err
	}()
	_, err := io.Copy(io.MultiWriter(w, write), r)
	return errors.Join(err, write.Close(), <-verified)
}

func (r *serverStore) take(stream io.ReadSeeker) (result transfer.Result, err error) {
	return result, r.askFor(&result, http.MethodPost, "store/import", stream)
}

func (r *serverStore) check() (report []siteCheck, err error) {
	return report, r.askFor(&report, http.MethodGet, "store/check", nil)
}

func (*serverStore) close() error { return nil }

// localStore is a store that this process opens by itself. Nobody else may use a file store
// meanwhile; bbolt's lock sees to that.
type localStore struct{ sel *selection }

// provision makes the sites of a configuration without running it. They open their store
// when they are asked for something.
func provision(config []byte, issuer string) (*localStore, error) {
	var cfg caddy.Config
	if err := caddy.StrictUnmarshalJSON(caddy.RemoveMetaFields(config), &cfg); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	if _, err := caddy.ProvisionContext(&cfg); err != nil {
		return nil, err
	}
	sel, err := selectSites(issuer)
	if err != nil {
		return nil, err
	}
	return &localStore{sel}, nil
}

func (o *localStore) export(w io.Writer) error {
	n, err := o.sel.export(context.Background(), w, false)
	if err == nil && n == 0 {
		err = errors.New("the store has no records of these sites")
	}
	return err
}

func (o *localStore) take(stream io.ReadSeeker) (transfer.Result, error) {
	return o.sel.take(context.Background(), stream)
}

func (o *localStore) check() ([]siteCheck, error) { return o.sel.check(context.Background()) }

// close ends the store, after what the audit trails still have to write. The sites are left
// to the end of the process.
func (o *localStore) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), endPatience)
	defer cancel()
	for _, s := range o.sel.sites {
		s.trail.Close(ctx)
	}
	return o.sel.store.Close()
}
