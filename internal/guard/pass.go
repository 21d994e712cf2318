// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"net/http"
	"strings"
	"time"
)

// Pass is the permission for one request, and everything that goes with the request to
// the backend and back. It is one allocation.
type Pass struct {
	entry  *entry
	target *Target
	guard  *Guard
	began  int64 // unix nanoseconds
	origin string
	token  string
	// authorization is the header for the backend. Its array is the request's own: later
	// handlers may change values in place.
	authorization [1]string
	answers       [len(answers)]string

	stream  stream
	writer  Writer
	request http.Request
}

// pass returns the Pass for an answer, or refuses one stream too many.
func (g *Guard) pass(req Request, e *entry, token string) (*Pass, error) {
	p := &Pass{entry: e, target: req.Target, guard: g, began: req.Began.UnixNano(), origin: first(req.HTTP.Header["Origin"]), token: token}
	p.authorization[0] = e.get(textAuthorization)
	p.stream.ctx.parent = req.HTTP.Context()
	if acceptsEvents(req.HTTP.Header) && !p.mayOpen(req) {
		return nil, errStreams
	}
	return p, nil
}

// first is the first value of a header whose canonical name is known.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// mayOpen tells whether the grant may open one more stream. A GET that accepts an event
// stream is going to be one and counts from now on; a POST may be answered at once.
func (p *Pass) mayOpen(req Request) bool {
	limit := p.target.Policy.Streams.PerSession
	if req.HTTP.Method == http.MethodGet {
		return p.enter(limit)
	}
	return !p.guard.streams.full(p.entry.record, limit)
}

// Subject is the sub of the person.
func (p *Pass) Subject() string { return p.entry.get(textSubject) }

// Client is the id of the client.
func (p *Pass) Client() string { return p.entry.get(textClient) }

// Name is the person's name, or "".
func (p *Pass) Name() string { return p.entry.get(textName) }

// PreferredUsername is what the person signs in as, or "".
func (p *Pass) PreferredUsername() string { return p.entry.get(textUsername) }

// Email is the person's address where the provider verified it, or "".
func (p *Pass) Email() string { return p.entry.get(textEmail) }

// Resource is the identifier of the resource.
func (p *Pass) Resource() string { return p.target.Resource.URL }

// Apply prepares the request for the backend. MCP authorization: the server "MUST NOT
// pass through the token it received from the MCP client". Everything else, the query
// included, stays as it was sent.
func (p *Pass) Apply(r *http.Request) {
	h := r.Header
	for name := range h {
		switch name {
		case "Proxy-Authorization", "Proxy-Connection", "Keep-Alive", "Proxy":
			// RFC 9110 §11.7: these are for the first proxy, which this is. Proxy is none at all
			// but becomes HTTP_PROXY in CGI.
			delete(h, name)
		case "Connection":
			keep(h, name, isConnectionOption)
		case "Te":
			keep(h, name, isTrailers)
		case "Cookie":
			stripCookies(h)
		default:
			p.target.stripOwn(h, name)
		}
	}
	// RFC 9110 §6.5.1: trailer fields may be discarded, and must not be merged by those who
	// do not know better; a backend that merges them would find headers of the client's own.
	r.Trailer = nil
	h["Authorization"] = p.authorization[:]
	p.target.setForwarded(h, p.entry.get(textForward))
	p.guard.config.Stats.observe(r, Passed, time.Duration(p.guard.config.Now().UnixNano()-p.began))
}

// Close takes the request out of the registry of streams and releases its context. It
// must be called for every Pass, when the next handler has returned.
func (p *Pass) Close() {
	if p.writer.status != 0 {
		dropUnannounced(p.writer.Header())
	}
	p.guard.streams.leave(&p.stream)
	p.stream.ctx.cancel()
}

// Cut tells whether the registry ended the answer, which then is complete as it is.
func (p *Pass) Cut() bool { return p.stream.cut.Load() }

// acceptsEvents tells whether a client takes an event stream for an answer.
func acceptsEvents(h http.Header) bool {
	for _, v := range h["Accept"] {
		if strings.Contains(v, eventStream) {
			return true
		}
		for i := 0; i+len(eventStream) <= len(v); i++ {
			if strings.EqualFold(v[i:i+len(eventStream)], eventStream) {
				return true
			}
		}
	}
	return false
}

// eventStream is the media type of an event stream.
const eventStream = "text/event-stream"
