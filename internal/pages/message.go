// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"html/template"
	"net/http"
	"strconv"
	"time"
)

// Message is any page but the consent page: what happened, what to do next, and a
// reference that leads whoever helps to the log line. messages.go has the texts.
type Message struct {
	// Status is the HTTP status; zero means 400.
	Status int
	// Title is the heading, Text says what happened, Advice what the person can do.
	Title, Text, Advice string
	// Ref is the reference id of the log line, ProviderRef the provider's own correlation
	// id, which its administrators can look up; default: none shown.
	Ref, ProviderRef string
	// Next is the way on; nil where the person has to go back to the app.
	Next *Link
	// Contact shows the configured support, where there is one.
	Contact bool
	// RetryAfter is written as a header, rounded up to whole seconds; zero: none.
	RetryAfter time.Duration
	// Allow is the Allow header of a 405 (RFC 9110 §15.5.6).
	Allow string
}

// Link is the button of a message.
type Link struct {
	// Label is the text of the button; Note, if any, is shown beneath it.
	Label, Note string
	// Href is an absolute URL or a path of this host. A link to anything that runs inside
	// the browser, such as javascript:, is left out.
	Href string
}

// WithRef returns a copy with a reference id.
func (m Message) WithRef(ref string) Message { m.Ref = ref; return m }

type messageView struct {
	frame
	Text, Advice     string
	Ref, ProviderRef string
	Next             *linkView
}

type linkView struct {
	Label, Note string
	Href        template.URL
}

// Message writes a message page.
func (p *Pages) Message(w http.ResponseWriter, m Message) {
	if m.Status == 0 {
		m.Status = http.StatusBadRequest
	}
	if m.RetryAfter > 0 {
		seconds := int64((m.RetryAfter + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	if m.Allow != "" {
		w.Header().Set("Allow", m.Allow)
	}
	ref := clean(m.Ref, nameRunes)
	p.write(w, m.Status, referrerMessage, "message", messageView{
		frame:       p.frame(clean(m.Title, nameRunes), ref, m.Contact),
		Text:        clean(m.Text, textRunes),
		Advice:      clean(m.Advice, textRunes),
		Ref:         ref,
		ProviderRef: clean(m.ProviderRef, nameRunes),
		Next:        linkOf(m.Next),
	})
}

func linkOf(l *Link) *linkView {
	if l == nil {
		return nil
	}
	u, ok := href(l.Href)
	if !ok {
		return nil
	}
	return &linkView{Label: clean(l.Label, nameRunes), Note: clean(l.Note, textRunes), Href: u}
}
