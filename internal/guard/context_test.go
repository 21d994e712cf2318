// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"net/http/httptest"
	"runtime"
	"testing"
)

// A proxy derives several contexts from that of a request. They hang on its cancellation
// directly: a goroutine for each would cost more than the guard.
func TestDerivedContextsNeedNoGoroutine(t *testing.T) {
	b := setup()
	pass := b.admit(t, good)
	_, r := pass.Wrap(httptest.NewRecorder(), b.request(good).HTTP, nil)
	const many = 200
	before := runtime.NumGoroutine()
	var derived []context.Context
	for range many {
		ctx, cancel := context.WithCancel(context.WithValue(r.Context(), hookKey{}, 1))
		defer cancel()
		derived = append(derived, ctx)
	}
	if n := runtime.NumGoroutine() - before; n > many/2 {
		t.Errorf("%d goroutines for %d contexts", n, many)
	}
	pass.Close()
	for _, ctx := range derived {
		if ctx.Err() == nil {
			t.Fatal("a derived context outlives the request")
		}
	}
}

type hookKey struct{}
