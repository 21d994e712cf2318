// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"net/http/httptest"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

const toClient = "303 to the client with a code"

// answerOf describes an answer in the words of the table.
func answerOf(rec *httptest.ResponseRecorder) string {
	target := rec.Header().Get("Location")
	u, _ := url.Parse(target)
	switch {
	case strings.HasPrefix(target, faultIDP):
		return fmt.Sprintf("%d to the provider", rec.Code)
	case strings.HasPrefix(target, faultIssuer):
		return fmt.Sprintf("%d to the consent page", rec.Code)
	case target != "" && u != nil && u.Query().Get("code") != "":
		return fmt.Sprintf("%d to the client with a code", rec.Code)
	case target != "" && u != nil:
		return fmt.Sprintf("%d to the client with %s", rec.Code, u.Query().Get("error"))
	}
	var e struct{ Error string }
	if json.Unmarshal(rec.Body.Bytes(), &e) == nil && e.Error != "" {
		return fmt.Sprintf("%d %s", rec.Code, e.Error)
	}
	if _, rest, found := strings.Cut(rec.Body.String(), "<h1>"); found {
		title, _, _ := strings.Cut(rest, "</h1>")
		return fmt.Sprintf("%d page %q", rec.Code, html.UnescapeString(title))
	}
	return fmt.Sprint(rec.Code)
}

// formIn is the form of a consent page, with the decision to go on.
func formIn(rec *httptest.ResponseRecorder) url.Values {
	form := url.Values{"decision": {"continue"}}
	for n := range nodes(rec) {
		if n.Data == "input" {
			form.Set(attrOf(n, "name"), attrOf(n, "value"))
		}
	}
	return form
}

// linkIn is the way on from a message, or "".
func linkIn(rec *httptest.ResponseRecorder) string {
	for n := range nodes(rec) {
		if n.Data == "a" && attrOf(n, "class") == "go" {
			return attrOf(n, "href")
		}
	}
	return ""
}

func nodes(rec *httptest.ResponseRecorder) iter.Seq[*html.Node] {
	doc, err := html.Parse(bytes.NewReader(rec.Body.Bytes()))
	if err != nil {
		return func(func(*html.Node) bool) {}
	}
	return doc.Descendants()
}

func attrOf(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
