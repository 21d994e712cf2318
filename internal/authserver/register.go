// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"net/http"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
)

// register is dynamic client registration (RFC 7591 §3).
func (s *active) register(w http.ResponseWriter, r *http.Request, c Call) {
	// RFC 7591 §3.1 wants the metadata as application/json.
	body, err := oauth.ReadBody(r, "application/json", maxBody)
	if err != nil {
		s.emit(r.Context(), event.Event{Kind: event.ClientRefused, Cause: err})
		s.fail(w, r, c, asMetadataError(err))
		return
	}
	resp, err := s.Clients.Register(r.Context(), s.Rules, c.Address, body)
	if err != nil {
		s.fail(w, r, c, err)
		return
	}
	// RFC 7591 §3.2.1: "the authorization server ... responds with an HTTP 201 Created".
	oauth.WriteJSON(w, http.StatusCreated, resp)
}

// asMetadataError gives a body that is no client metadata the code that RFC 7591 §3.2.2
// has for it; the status stays.
func asMetadataError(err error) error {
	e := oauth.AsError(err)
	if e == nil {
		return err
	}
	return oauth.New(oauth.InvalidClientMetadata, e.Description).WithStatus(e.Status).WithCause(err)
}
