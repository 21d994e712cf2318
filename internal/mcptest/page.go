// SPDX-License-Identifier: Apache-2.0

package mcptest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// Button names a submit button by its name and value. The zero Button is the first one
// of the page.
type Button struct{ Name, Value string }

// The buttons of the consent page.
var (
	Continue = Button{Name: "decision", Value: "continue"}
	Cancel   = Button{Name: "decision", Value: "cancel"}
)

// Title is the title of the page.
func (p *Page) Title() string {
	if n := find(p.root, isElement("title")); n != nil {
		return text(n)
	}
	return ""
}

// Text is what a person reads on the page, with white space collapsed.
func (p *Page) Text() string {
	if n := find(p.root, isElement("body")); n != nil {
		return text(n)
	}
	return strings.Join(strings.Fields(p.Body), " ")
}

// Has tells whether the page has the button.
func (p *Page) Has(b Button) bool {
	_, button := p.button(b)
	return button != nil
}

// Link returns the target of the link whose text contains label.
func (p *Page) Link(label string) (*url.URL, error) {
	n := find(p.root, func(n *html.Node) bool {
		return isElement("a")(n) && strings.Contains(text(n), label)
	})
	if n == nil {
		return nil, fmt.Errorf("link %q: %w", label, errNoElement)
	}
	return p.URL.Parse(attr(n, "href"))
}

// submission is the navigation that pressing a button causes.
func (p *Page) submission(b Button, fill url.Values) (*navigation, error) {
	form, button := p.button(b)
	if button == nil {
		return nil, fmt.Errorf("button %v: %w: %s", b, errNoElement, p.Text())
	}
	action, err := p.URL.Parse(firstOf(attr(button, "formaction"), attr(form, "action")))
	if err != nil {
		return nil, err
	}
	fields := formFields(form)
	for name, values := range fill {
		if !fields.Has(name) {
			return nil, fmt.Errorf("field %q: %w", name, errNoElement)
		}
		fields[name] = values
	}
	if name := attr(button, "name"); name != "" {
		fields.Add(name, attr(button, "value"))
	}
	if !strings.EqualFold(firstOf(attr(button, "formmethod"), attr(form, "method")), http.MethodPost) {
		action.RawQuery = fields.Encode()
		return &navigation{method: http.MethodGet, target: action}, nil
	}
	return &navigation{method: http.MethodPost, target: action, form: fields}, nil
}

// button finds a submit button and its form; both are nil where there is none.
func (p *Page) button(b Button) (form, button *html.Node) {
	form = find(p.root, func(n *html.Node) bool {
		if !isElement("form")(n) {
			return false
		}
		found := find(n, func(n *html.Node) bool {
			return submits(n) && (b == Button{} || attr(n, "name") == b.Name && attr(n, "value") == b.Value)
		})
		if found != nil {
			button = found
		}
		return found != nil
	})
	return form, button
}

func submits(n *html.Node) bool {
	kind := strings.ToLower(attr(n, "type"))
	return isElement("button")(n) && (kind == "" || kind == "submit") || isElement("input")(n) && kind == "submit"
}

// formFields are the values that a form has before anybody touches it.
func formFields(form *html.Node) url.Values {
	fields := url.Values{}
	for n := range form.Descendants() {
		name := attr(n, "name")
		if name == "" || hasAttr(n, "disabled") {
			continue
		}
		switch {
		case isElement("textarea")(n):
			fields.Add(name, text(n))
		case isElement("select")(n):
			fields.Add(name, selected(n))
		case isElement("input")(n):
			addInput(fields, name, n)
		}
	}
	return fields
}

func addInput(fields url.Values, name string, n *html.Node) {
	switch strings.ToLower(attr(n, "type")) {
	case "submit", "button", "reset", "image", "file":
	case "checkbox", "radio":
		if hasAttr(n, "checked") {
			fields.Add(name, firstOf(attr(n, "value"), "on"))
		}
	default:
		fields.Add(name, attr(n, "value"))
	}
}

// selected is the value of the chosen option, which is the first one by default.
func selected(n *html.Node) string {
	isOption := isElement("option")
	option := find(n, func(n *html.Node) bool { return isOption(n) && hasAttr(n, "selected") })
	if option == nil {
		option = find(n, isOption)
	}
	if option == nil {
		return ""
	}
	return firstOf(attr(option, "value"), text(option))
}
