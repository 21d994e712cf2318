// SPDX-License-Identifier: Apache-2.0

package azuretest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
)

// Fake answers requests in place of a service, as that service would and an emulator does
// not. It implements the transport of the Azure libraries. A nil answer is a connection
// that breaks.
type Fake struct {
	Answer func(r *http.Request, body string) *http.Response

	mu   sync.Mutex
	seen []string
}

// Do implements policy.Transporter.
func (f *Fake) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.seen = append(f.seen, fmt.Sprintf("%s %s %s", r.Method, r.URL.Host, r.URL.Path))
	f.mu.Unlock()
	answer := f.Answer(r, string(body))
	if answer == nil {
		return nil, &url.Error{Op: r.Method, URL: r.URL.String(), Err: syscall.ECONNRESET}
	}
	answer.Request = r
	return answer, nil
}

// Seen returns method, host and path of every request so far.
func (f *Fake) Seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.seen...)
}

// Reply is an answer with a body of JSON and headers, each "Name: value".
func Reply(status int, body string, headers ...string) *http.Response {
	r := &http.Response{
		StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	return r
}
