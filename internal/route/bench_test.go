// SPDX-License-Identifier: Apache-2.0

package route

import "testing"

func BenchmarkRouteGuarded(b *testing.B) {
	table := New(site("https://h.example/oauth", "https://h.example/mcp"))
	b.ReportAllocs()
	for b.Loop() {
		if table.Route("h.example", "/mcp", "/mcp").Kind != Guarded {
			b.Fatal()
		}
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	table := New(site("https://h.example/oauth", "https://h.example/mcp"))
	for _, path := range []string{"/mcp", "/mcp/below"} {
		if n := testing.AllocsPerRun(100, func() { table.Route("h.example", path, path) }); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}
