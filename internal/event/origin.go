// SPDX-License-Identifier: Apache-2.0

package event

import "context"

// Origin is the request that events are about. It travels in the context, because those
// who know what happened do not know who asked.
type Origin struct {
	// Address is the client's IP address, Agent its User-Agent header, Ref the reference
	// id of the answer.
	Address, Agent, Ref string
}

type originKey struct{}

// WithOrigin returns a context whose events come from o.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// Complete fills in what e leaves open and the context knows.
func Complete(ctx context.Context, e Event) Event {
	o, _ := ctx.Value(originKey{}).(Origin)
	for _, member := range []struct {
		own   *string
		known string
	}{{&e.Address, o.Address}, {&e.Agent, o.Agent}, {&e.Ref, o.Ref}} {
		if *member.own == "" {
			*member.own = member.known
		}
	}
	return e
}
