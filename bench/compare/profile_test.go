// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// traces is what pprof prints: a sample in what this module calls, one in what the next
// handler does, one of the garbage collector.
const traces = `File: compare
Type: cpu
Duration: 10s, Total samples = 60ms ( 0.6%)
-----------+-------------------------------------------------------
   20000us   crypto/sha256.block (inline)
             crypto/sha256.Sum256
             github.com/mcpoauth/caddy-mcp-oauth/internal/guard.hash
             github.com/mcpoauth/caddy-mcp-oauth.(*Handler).ServeHTTP
             net/http.(*conn).serve
-----------+-------------------------------------------------------
   30000us   runtime.mapaccess
             github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy.(*Handler).ServeHTTP
             github.com/mcpoauth/caddy-mcp-oauth.(*Handler).ServeHTTP
             net/http.(*conn).serve
-----------+-------------------------------------------------------
   10000us   runtime.scanobject
             runtime.gcBgMarkWorker
`

func TestSamplesBelongToTheInnermostPart(t *testing.T) {
	t.Parallel()
	samples, err := parseTraces(traces)
	if err != nil {
		t.Fatal(err)
	}
	parts, functions, total := taken{samples: samples}.byPart()
	const ms = time.Millisecond
	if total != 60*ms || parts["this module"] != 20*ms || parts["reverse_proxy"] != 30*ms || parts["garbage collection"] != 10*ms {
		t.Errorf("of %v: %v", total, parts)
	}
	if len(functions) != 1 || functions["/internal/guard.hash"] != 20*ms {
		t.Errorf("functions %v", functions)
	}
	var out bytes.Buffer
	all := []taken{{system: "caddy", samples: samples[1:], requests: 100}, {system: "guard-memory-1", samples: samples, requests: 100}}
	if err := reportProfile(&out, all); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "| this module | 0.00 | 200.00 | 33.3 % |") {
		t.Errorf("printed\n%s", out.String())
	}
}
