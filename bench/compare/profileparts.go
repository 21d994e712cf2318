// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// modulePath is how the names of the module's functions begin.
const modulePath = "github.com/mcpoauth/caddy-mcp-oauth"

// parts are who works, by how a function's name begins. A sample belongs to the part of
// its innermost function that is in one of them: what the module calls in the standard
// library is the module's, what the next handler does is not.
var parts = []struct{ name, prefix string }{
	{"this module", modulePath},
	{"reverse_proxy", "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"},
	{"connection to the backend (net/http)", "net/http.(*persistConn)"},
	{"connection to the backend (net/http)", "net/http.persistConn"},
	{"connection to the backend (net/http)", "net/http.(*Transport)"},
	{"connection to the backend (net/http)", "net/http.(*transportRequest)"},
	{"connection to the client (net/http)", "net/http.(*conn)"},
	{"connection to the client (net/http)", "net/http.(*connReader)"},
	{"connection to the client (net/http)", "net/http.(*response)"},
	{"connection to the client (net/http)", "net/http.(*chunkWriter)"},
	{"connection to the client (net/http)", "net/http.checkConnErrorWriter"},
	{"connection to the client (net/http)", "net/http.readRequest"},
	{"the rest of Caddy", "github.com/caddyserver/caddy"},
	{"garbage collection", "runtime.gcBgMarkWorker"},
	{"garbage collection", "runtime.bgsweep"},
	{"garbage collection", "runtime.bgscavenge"},
	{"scheduler", "runtime.mcall"},
	{"scheduler", "runtime.mstart"},
	{"scheduler", "runtime.systemstack"},
}

// sample is a stack, the innermost function first.
type sample struct {
	spent time.Duration
	stack []string
}

// parseTraces reads what `go tool pprof -traces` prints.
func parseTraces(text string) (all []sample, err error) {
	scan := bufio.NewScanner(strings.NewReader(text))
	scan.Buffer(nil, 1<<20)
	inside := false
	for scan.Scan() {
		line := strings.TrimSuffix(strings.TrimSpace(scan.Text()), " (inline)")
		switch {
		case strings.HasPrefix(line, "-----------+"):
			inside = true
			all = append(all, sample{})
		case !inside || line == "":
		case len(all[len(all)-1].stack) == 0:
			value, function, _ := strings.Cut(line, " ")
			s := &all[len(all)-1]
			if s.spent, err = time.ParseDuration(value); err != nil {
				return nil, fmt.Errorf("pprof printed %q: %w", line, err)
			}
			s.stack = append(s.stack, strings.TrimSpace(function))
		default:
			s := &all[len(all)-1]
			s.stack = append(s.stack, line)
		}
	}
	return all, scan.Err()
}

// owner is the part that a sample belongs to and the function of that part.
func (s sample) owner() (part, function string) {
	for _, f := range s.stack {
		for _, p := range parts {
			if strings.HasPrefix(f, p.prefix) {
				return p.name, f
			}
		}
	}
	return "other", ""
}

// cost is CPU time by the name of who spent it.
type cost map[string]time.Duration

// names are those with the highest cost, the highest first.
func (c cost) names(most int) []string {
	var names []string
	for name := range c {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(c[b], c[a]), cmp.Compare(a, b)) })
	return names[:min(most, len(names))]
}

// byPart adds up the samples by part, and those of the module by function.
func (t taken) byPart() (byPart, byFunction cost, total time.Duration) {
	byPart, byFunction = cost{}, cost{}
	for _, s := range t.samples {
		part, function := s.owner()
		byPart[part] += s.spent
		total += s.spent
		if name, ours := strings.CutPrefix(function, modulePath); ours {
			byFunction[name] += s.spent
		}
	}
	return byPart, byFunction, total
}

// perRequest is in microseconds.
func (t taken) perRequest(d time.Duration) float64 {
	return float64(d.Nanoseconds()) / 1000 / float64(t.requests)
}

// reportProfile prints the parts of the plain and the guarded Caddy side by side.
func reportProfile(out io.Writer, all []taken) error {
	plain, guarded := all[0], all[1]
	before, _, sum := plain.byPart()
	parts, functions, total := guarded.byPart()
	if sum == 0 || total == 0 {
		return fmt.Errorf("a profile is empty")
	}
	fmt.Fprintf(out, "### Profile\n\nCPU at %d connections, in µs for each request.\n\n", profileConns)
	fmt.Fprintf(out, "| Part | `%s` | `%s` | Share |\n| --- | ---: | ---: | ---: |\n", plain.system, guarded.system)
	for _, name := range parts.names(len(parts)) {
		fmt.Fprintf(out, "| %s | %.2f | %.2f | %.1f %% |\n", name, plain.perRequest(before[name]), guarded.perRequest(parts[name]), share(parts[name], total))
	}
	fmt.Fprintf(out, "| all | %.2f | %.2f | 100 %% |\n\n", plain.perRequest(sum), guarded.perRequest(total))
	fmt.Fprintf(out, "| Function of this module, with what it calls outside | µs | Share |\n| --- | ---: | ---: |\n")
	for _, name := range functions.names(shownFunctions) {
		fmt.Fprintf(out, "| `%s` | %.2f | %.1f %% |\n", name, guarded.perRequest(functions[name]), share(functions[name], total))
	}
	fmt.Fprintln(out)
	return nil
}

func share(part, total time.Duration) float64 { return 100 * float64(part) / float64(total) }
