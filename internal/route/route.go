// SPDX-License-Identifier: Apache-2.0

// Package route decides whose request it is: a document of discovery, an endpoint of the
// authorization server, a guarded resource, or somebody else's. It compares paths in a
// normal form that is at least as coarse as what the web server and common backends make
// of a path, and never changes the request.
package route

import (
	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
)

// Kind says who answers. The zero Kind is none of them, so that a Route which nobody
// decided is never taken for permission.
type Kind byte

// The kinds of request.
const (
	// Next is for the next handler, unguarded.
	Next Kind = iota + 1
	// Document is a discovery document; Route.Document says which.
	Document
	// Endpoint is an endpoint of the authorization server; Route.Endpoint says which.
	Endpoint
	// Guarded belongs to Route.Resource and needs a token.
	Guarded
	// Misdirected asks this host for a resource of another one: 421 (RFC 9110 §15.5.20).
	Misdirected
	// BadPath has no normal form, or several readings with different owners: 400.
	BadPath
	// NotFound is under a reserved path and nothing is there: 404.
	NotFound
)

// Doc names a discovery document.
type Doc byte

// The discovery documents.
const (
	// ASMetadata is the authorization server's document (RFC 8414).
	ASMetadata Doc = iota + 1
	// ProtectedResource is the document of Route.Resource (RFC 9728).
	ProtectedResource
)

// Route is the decision about one request.
type Route struct {
	Kind Kind
	// Document is set for the kind Document.
	Document Doc
	// Endpoint is the path below the issuer, such as "login/continue"; set for the kind
	// Endpoint.
	Endpoint string
	// Resource is set for Guarded and for the document ProtectedResource.
	Resource *policy.Resource
	// Slash tells that the request is for the spelling of Resource with a slash at the
	// end: its document names that spelling, and so does the challenge.
	Slash bool
}

// endpoints are the paths of the authorization server below the issuer; introspect is
// there where somebody may use it.
var endpoints = []string{"register", "authorize", "login", "login/continue", "callback", "token", "revoke", "jwks"}

// Where the documents are: RFC 9728 §3, RFC 8414 §3, OpenID Connect Discovery §4.
const (
	resourceDocument = "/.well-known/oauth-protected-resource"
	serverDocument   = "/.well-known/oauth-authorization-server"
	openIDDocument   = "/.well-known/openid-configuration"
)

// reserved are the beginnings of well-known paths of which everything that is no
// document is a clean 404: an HTML page or a redirect there would end a client's search.
var reserved = []string{"/.well-known/oauth-", openIDDocument}
