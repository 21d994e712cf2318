// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"net/netip"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
)

// from notes in g where its tokens were made: the network and the software, not the
// machine.
func (g *grantRecord) from(ctx context.Context) {
	o := event.Complete(ctx, event.Event{})
	g.Address, g.Agent = network(o.Address), software(o.Agent)
}

// elsewhere tells whether a request comes from another place than the last rotation: a
// second process of the client, or a thief.
func (g *grantRecord) elsewhere(ctx context.Context) bool {
	var here grantRecord
	here.from(ctx)
	return here.Address != g.Address || here.Agent != g.Agent
}

// network cuts an address to what one site of a company or one customer of a provider has:
// 24 bits of IPv4, 48 of IPv6. It is "" for what is no address.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	bits := 48
	if a = a.Unmap().WithZone(""); a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// maxSoftware is how much of a User-Agent header is kept, in bytes.
const maxSoftware = 32

// software is the first product of a User-Agent header (RFC 9110 §10.1.5), without its
// comments.
func software(agent string) string {
	if i := strings.IndexFunc(agent, func(r rune) bool { return r <= ' ' || r > '~' }); i >= 0 {
		agent = agent[:i]
	}
	return agent[:min(len(agent), maxSoftware)]
}
