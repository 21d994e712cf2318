// SPDX-License-Identifier: Apache-2.0

// Package clienttest reads challenges and discovery documents as MCP clients read them. The
// Go SDK is linked; the rules of the other clients are written down here after their
// sources, each with the name of the file that it is from. They differ, and a server is
// found by all of them only where it stays within what every one of them accepts.
package clienttest

import (
	"errors"
	"fmt"
	"net/http"
)

// Challenge is what a client takes from WWW-Authenticate. A parameter that it does not
// find is "".
type Challenge struct{ Metadata, Scope, Error, Description string }

// Page is an answer to a GET request.
type Page struct {
	URL    string
	Status int
	Header http.Header
	Body   []byte
}

// Place is where a client looks for the document of a resource, and the resource that the
// document has to be about.
type Place struct{ URL, Resource string }

// Resource is what a client takes from the document of a resource (RFC 9728).
type Resource struct {
	// Resource is what the client sends as the parameter resource.
	Resource string
	// Issuer is the authorization server that it goes to.
	Issuer string
	Scopes []string
}

// Server is what a client takes from the document of an authorization server (RFC 8414).
type Server struct {
	Issuer, Authorization, Token, Registration string
	AuthMethods                                []string
}

// Client is the part of an MCP client that reads what a server says.
type Client struct {
	// Name is the product with the version that was read.
	Name string
	// Challenge reads the values of WWW-Authenticate. An error is where the client gives up.
	Challenge func(values []string) (Challenge, error)
	// Places are where the client looks for the document of the resource that a person
	// pasted, in order. announced is the URL in the challenge, or "".
	Places func(pasted, announced string) []Place
	// Resource reads that document.
	Resource func(Page, Place) (Resource, error)
	// ServerURLs are where the client looks for the document of an issuer, in order.
	ServerURLs func(issuer string) []string
	// Server reads that document.
	Server func(p Page, issuer string) (Server, error)
	// Final tells that a document that cannot be read ends the search, rather than leads to
	// the next place.
	Final bool
}

// Clients are all that are known.
func Clients() []Client {
	return []Client{typeScript1(), typeScript2(), mcpRemote(), golang(), python(), csharp(), vsCode()}
}

// Get fetches a page, without following redirects.
type Get func(url string) (Page, error)

// FindResource does what the client does to find the document of the resource.
func (c Client) FindResource(get Get, pasted string, ch Challenge) (Resource, error) {
	var failed error
	for _, place := range c.Places(pasted, ch.Metadata) {
		page, err := fetch(get, place.URL)
		if err == nil {
			var r Resource
			if r, err = c.Resource(page, place); err == nil {
				return r, nil
			}
			if c.Final {
				return Resource{}, fmt.Errorf("%s: %w", place.URL, err)
			}
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w", place.URL, err))
	}
	return Resource{}, failed
}

// FindServer does what the client does to find the document of the issuer.
func (c Client) FindServer(get Get, issuer string) (Server, error) {
	var failed error
	for _, url := range c.ServerURLs(issuer) {
		page, err := fetch(get, url)
		if err == nil {
			var s Server
			if s, err = c.Server(page, issuer); err == nil {
				return s, nil
			}
			if c.Final {
				return Server{}, fmt.Errorf("%s: %w", url, err)
			}
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w", url, err))
	}
	return Server{}, failed
}

// fetch is an error for everything but a page that is there. A client that meets anything
// but 200 or 404 behaves in ways of its own; a server must not let that happen.
func fetch(get Get, url string) (Page, error) {
	page, err := get(url)
	if err != nil {
		return Page{}, err
	}
	if page.Status != http.StatusOK {
		return Page{}, fmt.Errorf("status %d", page.Status)
	}
	return page, nil
}
