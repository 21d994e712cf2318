// SPDX-License-Identifier: Apache-2.0

// Package pages writes every HTML page that a person sees: the consent page and the
// messages. Each page is one response without script and without subresource, so that
// nothing on it can be changed, tracked or blocked from elsewhere.
//
// Whatever a client said about itself is shown as a claim, cleaned by the rules of
// display.go and escaped by html/template. Locales and an administrator's own templates
// can be added here without touching a caller: callers pass facts and pick a message.
package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
)

//go:embed templates
var files embed.FS

// Config is the login block of the configuration.
type Config struct {
	// Title names the product or company at the top of each page; default "Sign in".
	Title string
	// Support is how people get help: an e-mail address, an https or http URL, or any
	// text such as a telephone number. Default: no contact is shown.
	Support string
}

// Pages renders the pages of one configuration. It is safe for concurrent use.
type Pages struct {
	title     string
	support   string
	style     template.CSS
	policy    string
	templates *template.Template
}

// New prepares the pages. It fails where Title or Support cannot be shown as written:
// when it is too long or contains control, bidirectional or invisible characters.
func New(c Config) (*Pages, error) {
	if err := checkShown("title", c.Title, nameRunes); err != nil {
		return nil, err
	}
	if err := checkShown("support", c.Support, textRunes); err != nil {
		return nil, err
	}
	style, err := files.ReadFile("templates/style.css")
	if err != nil {
		return nil, fmt.Errorf("read style sheet: %w", err)
	}
	templates, err := template.ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse page templates: %w", err)
	}
	hash := sha256.Sum256(style)
	return &Pages{
		title:     or(c.Title, "Sign in"),
		support:   c.Support,
		style:     template.CSS(style), //nolint:gosec // embedded at build time, no input
		policy:    contentSecurityPolicy(base64.StdEncoding.EncodeToString(hash[:])),
		templates: templates,
	}, nil
}

// frame is what every template needs beside its own facts.
type frame struct {
	// Title is the product or company, Heading the first words of the page.
	Title, Heading string
	Style          template.CSS
	Contact        *contact
}

func (p *Pages) frame(heading, ref string, withContact bool) frame {
	f := frame{Title: p.title, Heading: heading, Style: p.style}
	if withContact {
		f.Contact = contactOf(p.support, ref)
	}
	return f
}

// write renders into memory first, so that a status is never sent with half a page.
func (p *Pages) write(w http.ResponseWriter, status int, referrer, name string, view any) {
	var body bytes.Buffer
	if err := p.templates.ExecuteTemplate(&body, name, view); err != nil {
		// The views are plain values of this package: this is a defect of a template, which
		// the goldens find. The person still gets a sentence.
		status = http.StatusInternalServerError
		body.Reset()
		body.WriteString("<!DOCTYPE html><title>Error</title><p>This page could not be shown. Go back and try again.</p>")
	}
	h := w.Header()
	setHeaders(h, p.policy, referrer)
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the browser has gone: nobody is left to tell
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
