// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// sections print what there is to say about the rounds of a mode.
var sections = []struct {
	mode  string
	print func(io.Writer, *table)
}{
	{"load", reportLoad}, {"stream", reportStreams}, {"body", reportBodies}, {"flood", reportFlood},
}

// report prints the rounds in dir as Markdown.
func report(out io.Writer, dir string) error {
	if text, err := os.ReadFile(filepath.Join(dir, machineFile)); err == nil {
		fmt.Fprintf(out, "### Machine\n\n%s\n", text)
	}
	found := false
	for _, s := range sections {
		t, err := readTable(dir, s.mode)
		if err != nil {
			return err
		}
		if t == nil {
			continue
		}
		found = true
		s.print(out, t)
	}
	if !found {
		return fmt.Errorf("%s holds no rounds", dir)
	}
	return nil
}

func (t *table) count() int {
	n := 0
	for _, r := range t.rows {
		n = max(n, r.round)
	}
	return n
}

const loadIntro = `### Load

Medians of %d rounds; the load comes from %s. A ratio is that to the named system in the same round:
its median with the 95 %% interval of the median, then the smallest and the largest. Added times are
differences in the same round, with the interval of their median.
`

func reportLoad(out io.Writer, t *table) {
	by := ownGen
	if t.rows[0].values["wrk"] == 1 {
		by = wrk
	}
	fmt.Fprintf(out, loadIntro, t.count(), by)
	for _, setting := range t.settings() {
		fmt.Fprintf(out, "\n#### %s connections\n\n", setting)
		fmt.Fprintln(out, "| System | Compared with | Requests/s | Ratio of requests/s | CPU µs/request | Ratio of CPU | p50 µs | p99 µs | Added p50 µs | Added p99 µs | Errors |")
		fmt.Fprintln(out, "| --- | --- | ---: | --- | ---: | --- | ---: | ---: | --- | --- | ---: |")
		for _, system := range t.systems(setting) {
			base := t.base(setting, system)
			mid := func(metric string) float64 { return median(valuesOf(t.rounds(setting, system, metric))) }
			against := func(metric string, f func(a, b float64) float64) []float64 {
				return t.against(setting, system, base, metric, f)
			}
			errs := 0.0
			for _, e := range t.rounds(setting, system, "errors") {
				errs += e
			}
			if base == system {
				fmt.Fprintf(out, "| `%s` | | %.0f | 1 | %.1f | 1 | %.0f | %.0f | | | %.0f |\n",
					system, mid("per_s"), mid("cpu_us"), mid("p50_us"), mid("p99_us"), errs)
				continue
			}
			fmt.Fprintf(out, "| `%s` | `%s` | %.0f | %s | %.1f | %s | %.0f | %.0f | %s | %s | %.0f |\n",
				system, base, mid("per_s"), spread(against("per_s", ratio)), mid("cpu_us"), spread(against("cpu_us", ratio)),
				mid("p50_us"), mid("p99_us"), narrow(against("p50_us", difference), "%.0f"), narrow(against("p99_us", difference), "%.0f"), errs)
		}
		reportTransport(out, t, setting)
	}
	fmt.Fprintln(out)
}

// reportTransport says what the recommended transport block does to requests per second.
func reportTransport(out io.Writer, t *table, setting string) {
	for _, pair := range [][2]string{{"caddy-transport", "caddy"}, {"guard-transport", "guard-memory-1"}} {
		systems := t.systems(setting)
		if slices.Contains(systems, pair[0]) && slices.Contains(systems, pair[1]) {
			fmt.Fprintf(out, "\n`%s` ÷ `%s`, requests/s: %s.\n", pair[0], pair[1], spread(t.against(setting, pair[0], pair[1], "per_s", ratio)))
		}
	}
}
