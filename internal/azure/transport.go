// SPDX-License-Identifier: Apache-2.0

package azure

import "net/http"

// perHost is how many idle connections to the service are kept. With the ten that the
// libraries keep, a server under load would spend its time on handshakes.
const perHost = 128

// Transport sends requests over connections of its own, and follows no redirect: a
// service sends none, and a request bears credentials.
type Transport struct{ transport *http.Transport }

// NewTransport returns a Transport that uses the proxy of the system's variables.
func NewTransport() *Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = perHost, perHost
	return &Transport{transport: t}
}

// Do implements policy.Transporter.
func (t *Transport) Do(r *http.Request) (*http.Response, error) { return t.transport.RoundTrip(r) }

// CloseIdleConnections closes the connections that nobody uses.
func (t *Transport) CloseIdleConnections() { t.transport.CloseIdleConnections() }
