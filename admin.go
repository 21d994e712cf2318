// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/transfer"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

func init() {
	caddy.RegisterModule(AdminAPI{})
}

// AdminAPI adds what the command `caddy mcp-oauth` needs to Caddy's admin API. Whoever
// reaches that API controls the server; nothing here answers with a secret.
//
//	GET  /mcp_oauth/sites          the sites that are loaded, with their stores
//	GET  /mcp_oauth/store/export   every record of a store, as a stream
//	POST /mcp_oauth/store/import   the way back
//	GET  /mcp_oauth/store/check    how many records of each kind open
//	GET  /mcp_oauth/keys           the keys of the sites, as far as they are public
//	POST /mcp_oauth/revoke         ends sessions
//	POST /mcp_oauth/sessions       explains sessions
//	POST /mcp_oauth/keys/rotate    begins a rotation, or replaces the keys
//
// The query parameter issuer chooses one site; without it all sites are meant, which must
// share a store then.
type AdminAPI struct{}

// CaddyModule returns the Caddy module information.
func (AdminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.mcp_oauth",
		New: func() caddy.Module { return new(AdminAPI) },
	}
}

// Routes implements caddy.AdminRouter. The module is made before any site is and lives
// for ever, so it finds the sites in their pool when it is asked.
func (AdminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		adminRoute("/mcp_oauth/sites", http.MethodGet, listSites),
		adminRoute("/mcp_oauth/store/export", http.MethodGet, serveExport),
		adminRoute("/mcp_oauth/store/import", http.MethodPost, serveImport),
		adminRoute("/mcp_oauth/store/check", http.MethodGet, onSites(serveCheck)),
		adminRoute("/mcp_oauth/revoke", http.MethodPost, onSites(serveRevoke)),
		adminRoute("/mcp_oauth/sessions", http.MethodPost, onSites(serveSessions)),
		adminRoute("/mcp_oauth/keys", http.MethodGet, onSites(serveKeys)),
		adminRoute("/mcp_oauth/keys/rotate", http.MethodPost, onSites(serveRotate)),
	}
}

func adminRoute(pattern, method string, serve caddy.AdminHandlerFunc) caddy.AdminRoute {
	return caddy.AdminRoute{Pattern: pattern, Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != method {
			return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("use %s", method)}
		}
		return apiError(serve(w, r))
	})}
}

// onSites answers with what serve returns about the sites that a request means.
func onSites[T any](serve func(sel *selection, r *http.Request) (T, error)) caddy.AdminHandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		sel, err := sitesOf(r)
		if err != nil {
			return err
		}
		defer sel.release()
		answer, err := serve(sel, r)
		if err != nil {
			return err
		}
		return writeJSON(w, answer)
	}
}

// readBody reads a body of at most so many bytes; what says what it says, and how.
func readBody(r *http.Request, v any, most int64, what string) error {
	d := json.NewDecoder(io.LimitReader(r.Body, most))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return badStream{fmt.Errorf("the body says %s: %w", what, err)}
	}
	return nil
}

// apiError gives an error the status that says whose turn it is.
func apiError(err error) error {
	if err == nil {
		return nil
	}
	status := http.StatusServiceUnavailable
	var bad badStream
	switch {
	case errors.Is(err, errNoSite):
		status = http.StatusNotFound
	case errors.Is(err, errManyStores), errors.Is(err, transfer.ErrOccupied), errors.Is(err, vault.ErrMaster),
		errors.Is(err, vault.ErrNoKeys), errors.Is(err, errNoKey):
		status = http.StatusConflict
	case errors.As(err, &bad):
		status = http.StatusBadRequest
	}
	return caddy.APIError{HTTPStatus: status, Err: err}
}

// badStream is an error of what came with a request, such as a stream.
type badStream struct{ error }

// loadedSite is an answer about one site.
type loadedSite struct {
	Issuer string `json:"issuer"`
	Store  string `json:"store"`
}

func listSites(w http.ResponseWriter, _ *http.Request) error {
	all := []loadedSite{}
	for _, s := range activeSites() {
		all = append(all, loadedSite{Issuer: s.key.issuer, Store: s.key.store})
	}
	return writeJSON(w, all)
}

func serveExport(w http.ResponseWriter, r *http.Request) error {
	sel, err := sitesOf(r)
	if err != nil {
		return err
	}
	defer sel.release()
	w.Header().Set("Content-Type", "application/x-ndjson")
	// Whoever gets a part of a stream sees that its end is missing.
	_, err = sel.export(r.Context(), w, true)
	return err
}

func serveImport(w http.ResponseWriter, r *http.Request) error {
	sel, err := sitesOf(r)
	if err != nil {
		return err
	}
	defer sel.release()
	// The admin server gives a request ten seconds to arrive.
	if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	stream, done, err := spool(r.Body)
	if err != nil {
		return err
	}
	defer done()
	result, err := sel.take(r.Context(), stream)
	if err != nil {
		return err
	}
	return writeJSON(w, result)
}

// spool keeps a stream in a temporary file, so that it can be read twice.
func spool(r io.Reader) (io.ReadSeeker, func(), error) {
	f, err := os.CreateTemp("", "mcp-oauth-import-*")
	if err != nil {
		return nil, nil, err
	}
	done := func() { _ = errors.Join(f.Close(), os.Remove(f.Name())) }
	if _, err = io.Copy(f, r); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("keeping the stream: %w", err)
	}
	return f, done, nil
}

func serveCheck(sel *selection, r *http.Request) ([]siteCheck, error) { return sel.check(r.Context()) }

func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}

// Interface guards
var (
	_ caddy.Module      = (*AdminAPI)(nil)
	_ caddy.AdminRouter = (*AdminAPI)(nil)
)
