// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// answer is a response whose body was read.
type answer struct {
	status int
	header http.Header
	body   string
}

// send makes one request and does not follow redirects; a header named Host becomes the
// request's host.
func (w *world) send(method, target string, h http.Header, body string) *answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.ctx, method, target, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if h != nil {
		req.Header = h.Clone()
	}
	if host := h.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := w.transport.RoundTrip(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s", method, target, err, w.caddy.Output())
	}
	return readAnswer(w.t, resp)
}

// get is send for a document.
func (w *world) get(target string) *answer {
	w.t.Helper()
	return w.send(http.MethodGet, target, nil, "")
}

// form posts a form, as clients do to the token endpoint.
func (w *world) form(target string, values url.Values) *answer {
	w.t.Helper()
	return w.send(http.MethodPost, target, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, values.Encode())
}

func readAnswer(t testing.TB, resp *http.Response) *answer {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
}

// member is one text member of a JSON object; "" where it is absent.
func (a *answer) member(t testing.TB, name string) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(a.body), &members); err != nil {
		t.Fatalf("status %d, body %q: %v", a.status, a.body, err)
	}
	s, _ := members[name].(string)
	return s
}
