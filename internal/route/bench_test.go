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
	if n := testing.AllocsPerRun(100, func() { table.Route("h.example", "/mcp", "/mcp") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
