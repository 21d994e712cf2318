// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Bounds of one call to the provider. Its answers are small documents; whatever is
// larger or slower than this is a fault or an attack (security.md G15).
const (
	callTimeout = 5 * time.Second
	maxAnswer   = 1 << 20
)

var errAnswerTooLong = errors.New("answer is longer than 1 MiB")

// newClient returns a client that follows no redirect: neither a secret nor a document
// that keys depend on may move to a place that nobody configured.
func newClient(base *http.Client) *http.Client {
	c := http.Client{}
	if base != nil {
		c = *base
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Jar = nil
	return &c
}

// reply is the provider's answer to one request.
type reply struct {
	status    int
	mediaType string
	body      []byte
}

// ask sends one request and returns the whole answer. The request must be bound to a
// context that ends.
func ask(client *http.Client, r *http.Request) (reply, error) {
	r.Header.Set("Accept", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return reply{}, fmt.Errorf("reading the answer of %s: %w", r.URL.Host, err)
	}
	if len(body) > maxAnswer {
		return reply{}, fmt.Errorf("%s: %w", r.URL.Host, errAnswerTooLong)
	}
	return reply{resp.StatusCode, resp.Header.Get("Content-Type"), body}, nil
}

// getJSON fetches a JSON document.
func getJSON(ctx context.Context, client *http.Client, url string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	a, err := ask(client, r)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return &statusError{url: url, status: a.status}
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		return fmt.Errorf("%s is not the JSON document expected: %w", url, err)
	}
	return nil
}

// statusError is an answer that is no document.
type statusError struct {
	url    string
	status int
}

// Error implements error. A server that says no will say no again: what is configured is
// wrong, and waiting does not help.
func (e *statusError) Error() string {
	text := fmt.Sprintf("%s answered status %d", e.url, e.status)
	if e.status >= 400 && e.status < 500 && e.status != http.StatusRequestTimeout && e.status != http.StatusTooManyRequests {
		text += ": there is no such document, so check the provider's tenant, issuer or discovery_url in the configuration"
	}
	return text
}
