// SPDX-License-Identifier: Apache-2.0

package pages

import "net/http"

// Consent is what a person decides about before going to the provider: who asks, for
// what, and where the answer goes. All of it may be hostile but Resource, ResourceURL,
// the descriptions and Provider, which are the administrator's.
type Consent struct {
	// Action is where the form is posted: <issuer>/login/continue.
	Action string
	// Token is the login token and FormKey the value of the form's cookie; the hidden
	// fields "token" and "key".
	Token, FormKey string

	// ClientName is what the client calls itself (RFC 7591 client_name); may be empty.
	ClientName string
	// ClientHost is where the client says it lives (the host of client_uri); may be empty.
	ClientHost string
	// ClientID is the client identifier, for the technical details.
	ClientID string
	// Vouched tells that ClientName is the administrator's word and not the client's.
	Vouched bool

	// RedirectURI is where the answer goes. What is shown of it, and both warnings, are
	// derived from it.
	RedirectURI string
	// RedirectHost is shown instead of the host of an http or https RedirectURI; default:
	// that host.
	RedirectHost string
	// Loopback and PrivateScheme add a warning that RedirectURI alone would not; default:
	// as RedirectURI says.
	Loopback, PrivateScheme bool

	// Resource is the name of the resource, ResourceURL its identifier.
	Resource, ResourceURL string
	// Scopes are what the client gets.
	Scopes []ScopeLine
	// Provider is who signs the person in, for instance "Microsoft"; may be empty.
	Provider string
}

// ScopeLine is one scope in words.
type ScopeLine struct {
	// Name is the scope token.
	Name string
	// Description is the administrator's text; default: a text for the scopes that every
	// server has, or the name alone.
	Description string
}

// commonScopes are the words for scopes that exist without being declared.
var commonScopes = map[string]string{
	"mcp":            "Use the tools and data of this server in your name",
	"offline_access": "Stay connected, without asking again, until you or your administrator end it",
}

// consentView is what the template shows: every text cleaned, every choice made.
type consentView struct {
	frame
	Vouched                    bool
	Action, Token, FormKey     string
	Name, ClientHost, ClientID string
	Target                     []string
	Loopback, Private          bool
	RedirectURI                string
	Resource, ResourceURL      string
	Scopes                     []ScopeLine
	Provider, ContinueLabel    string
}

// Consent writes the consent page with status 200.
//
// MCP security best practices, consent page requirements: it MUST identify the requesting
// client by name, display the scopes, and show the registered redirect URI where tokens
// will be sent; it MUST prevent framing.
func (p *Pages) Consent(w http.ResponseWriter, c Consent) {
	p.write(w, http.StatusOK, referrerConsent, "consent", p.consentView(c))
}

func (p *Pages) consentView(c Consent) consentView {
	t := targetOf(c.RedirectURI)
	if c.RedirectHost != "" && !t.private {
		t.host = displayHost(c.RedirectHost)
	}
	v := consentView{
		Action: c.Action, Token: c.Token, FormKey: c.FormKey,
		Name:     clean(c.ClientName, nameRunes),
		ClientID: clean(ascii(c.ClientID), uriRunes),
		Vouched:  c.Vouched && c.ClientName != "",
		Target:   breakable(t.host), Loopback: t.loopback || c.Loopback, Private: t.private || c.PrivateScheme,
		RedirectURI: clean(ascii(c.RedirectURI), uriRunes),
		Resource:    clean(c.Resource, nameRunes),
		ResourceURL: clean(c.ResourceURL, uriRunes),
		Provider:    clean(c.Provider, nameRunes),
	}
	if c.ClientHost != "" {
		v.ClientHost = displayHost(c.ClientHost)
	}
	for _, s := range c.Scopes {
		v.Scopes = append(v.Scopes, scopeLine(s))
	}
	v.Resource = or(v.Resource, v.ResourceURL)
	v.ContinueLabel = "Continue to sign in"
	if v.Provider != "" {
		v.ContinueLabel += " with " + v.Provider
	}
	v.frame = p.frame("Connect an app to "+v.Resource, "", true)
	return v
}

func scopeLine(s ScopeLine) ScopeLine {
	s.Description = clean(or(s.Description, commonScopes[s.Name]), textRunes)
	s.Name = clean(s.Name, nameRunes)
	return s
}
