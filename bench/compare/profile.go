// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// profileConns and profileTime are the load under which a profile is taken.
	profileConns = 16
	profileTime  = 10 * time.Second
	// shownFunctions is how many functions of the module are listed.
	shownFunctions = 15
)

// profile takes a CPU profile of a guarded Caddy under load and says where the time goes.
func profile(ctx context.Context, w *world) error {
	s, err := w.start(ctx, kinds[indexOf("guard-memory-1")], 1)
	if err != nil {
		return err
	}
	defer s.stop(w)
	d := max(w.duration.Truncate(time.Second), profileTime)
	path := filepath.Join(w.out, "guard.prof")
	taken := make(chan error, 1)
	go func() { taken <- s.takeProfile(ctx, path, d) }()
	got, err := w.load(ctx, s, profileConns, d)
	if e := <-taken; err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-traces", "-unit=us", path).Output()
	if err != nil {
		return fmt.Errorf("go tool pprof: %w", err)
	}
	fmt.Printf("## Profile\n\n%d requests in %.1f s at %d connections, by %s; the profile is %s.\n\n",
		got.Requests, got.Seconds, profileConns, w.generator(), path)
	return reportProfile(os.Stdout, string(out), got.Requests)
}

// takeProfile fetches a CPU profile from a Caddy.
func (s *system) takeProfile(ctx context.Context, path string, d time.Duration) error {
	url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.admin, int(d.Seconds()))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := checker.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the profile is answered with %s", resp.Status)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, resp.Body); err != nil {
		return err
	}
	return f.Close()
}

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

func reportProfile(out io.Writer, traces string, requests int) error {
	samples, err := parseTraces(traces)
	if err != nil {
		return err
	}
	byPart, byFunction, total := map[string]time.Duration{}, map[string]time.Duration{}, time.Duration(0)
	for _, s := range samples {
		part, function := s.owner()
		byPart[part] += s.spent
		total += s.spent
		if strings.HasPrefix(function, modulePath) {
			byFunction[strings.TrimPrefix(function, modulePath)] += s.spent
		}
	}
	if total == 0 {
		return fmt.Errorf("the profile is empty")
	}
	list := func(title string, m map[string]time.Duration, most int) {
		names := make([]string, 0, len(m))
		for name := range m {
			names = append(names, name)
		}
		slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
		fmt.Fprintf(out, "| %s | Share | CPU µs/request |\n| --- | ---: | ---: |\n", title)
		for _, name := range names[:min(most, len(names))] {
			fmt.Fprintf(out, "| %s | %.1f %% | %.2f |\n", name, 100*float64(m[name])/float64(total), float64(m[name].Nanoseconds())/1000/float64(requests))
		}
		fmt.Fprintln(out)
	}
	list("Part", byPart, len(byPart))
	list("Function of this module, with what it calls outside", byFunction, shownFunctions)
	return nil
}
