// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"net/http"
	"testing"
)

func BenchmarkAuthorize(b *testing.B) {
	w := newWorld(b)
	target := w.authorizeURL(ask(w.register(b, claude), claude))
	b.ReportAllocs()
	for b.Loop() {
		if rec := w.call(request(http.MethodGet, target, "")); rec.Code != http.StatusFound {
			b.Fatal(rec.Code)
		}
	}
}

func BenchmarkMetadata(b *testing.B) {
	w := newWorld(b)
	b.ReportAllocs()
	for b.Loop() {
		w.document("as", request(http.MethodGet, issuer, ""))
	}
}

// BenchmarkWholeLogin is authorize, consent page, its form and the callback, with the
// parsing of the page that a browser would do.
func BenchmarkWholeLogin(b *testing.B) {
	w := newWorld(b)
	q := ask(w.register(b, claude), claude)
	b.ReportAllocs()
	for b.Loop() {
		w.browser().signIn(b, q)
		w.clock.Advance(1e8)
	}
}

func BenchmarkTokenExchange(b *testing.B) {
	w := newWorld(b)
	id := w.register(b, claude)
	q := ask(id, claude)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		fields := exchange(id, w.browser().signIn(b, q))
		w.clock.Advance(1e8)
		b.StartTimer()
		if rec := w.tokenCall(fields); rec.Code != http.StatusOK {
			b.Fatal(rec.Code, rec.Body)
		}
	}
}

func BenchmarkRefresh(b *testing.B) {
	w := newWorld(b)
	id, code := w.fresh(b)
	got := wantTokens(b, w.tokenCall(exchange(id, code)))
	b.ReportAllocs()
	for b.Loop() {
		got = wantTokens(b, w.tokenCall([]string{"grant_type", "refresh_token", "client_id", id, "refresh_token", got.Refresh}))
	}
}
