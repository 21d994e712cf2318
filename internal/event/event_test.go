// SPDX-License-Identifier: Apache-2.0

package event_test

import (
	"context"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
)

// list keeps what it gets.
type list []event.Event

func (l *list) Emit(_ context.Context, e event.Event) { *l = append(*l, e) }

// Every sink learns who asked; what the emitter knew better stays.
func TestSinksComplete(t *testing.T) {
	t.Parallel()
	var a, b list
	sinks := event.Sinks{&a, &b}
	ctx := event.WithOrigin(t.Context(), event.Origin{Address: "192.0.2.1", Agent: "agent", Ref: "ref"})
	sinks.Emit(ctx, event.Event{Kind: event.Refreshed, Ref: "other"})
	sinks.Emit(t.Context(), event.Event{Kind: event.GrantEnded})
	want := list{
		{Kind: event.Refreshed, Address: "192.0.2.1", Agent: "agent", Ref: "other"},
		{Kind: event.GrantEnded},
	}
	for _, got := range []list{a, b} {
		if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("got %+v", got)
		}
	}
}

// A part of the hash, and nothing that the token itself could be found by.
func TestTokenHash(t *testing.T) {
	t.Parallel()
	if got := event.TokenHash([32]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}); got != "0102030405060708" {
		t.Error(got)
	}
}
