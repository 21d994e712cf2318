// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// floodInProcess measures honest load over HTTP beside a flood inside the server.
func (w *world) floodInProcess(ctx context.Context, t *table) error {
	s := &system{name: "guard-memory-1", base: "caddy"}
	text, err := w.caddyfile(site{store: "memory"}, s, 1)
	if err != nil {
		return err
	}
	file, err := w.file("Caddyfile", text)
	if err != nil {
		return err
	}
	p, err := w.spawn("inprocess", file)
	if err != nil {
		return err
	}
	s.own = []*process{p}
	defer s.stop(w)
	if err := s.await(p); err != nil {
		return err
	}
	if err := s.readTokens(p); err != nil {
		return err
	}
	if err := s.check(ctx); err != nil {
		return err
	}
	for round := 1; round <= w.rounds; round++ {
		for position, i := range w.random.Perm(len(inside)) {
			r, err := w.besideInner(ctx, s, p, inside[i])
			if err != nil {
				return err
			}
			r.round, r.position = round, position+1
			t.rows = append(t.rows, r)
		}
		if err := t.write(w.out); err != nil {
			return err
		}
		w.say("flood in process: round %d of %d", round, w.rounds)
	}
	return nil
}

// inside are the sides that make sense inside the process.
var inside = sides[:len(sides)-1]

func (w *world) besideInner(ctx context.Context, s *system, p *process, beside side) (row, error) {
	rate := int(beside.share * float64(w.flood))
	if _, err := io.WriteString(p.stdin.(io.Writer), fmt.Sprintf("flood %d %s\n", rate, s.tokens[0])); err != nil {
		return row{}, err
	}
	honest, err := w.honestLoad(ctx, s)
	if err != nil {
		return row{}, err
	}
	if _, err := io.WriteString(p.stdin.(io.Writer), "stop\n"); err != nil {
		return row{}, err
	}
	line, err := p.line()
	if err != nil {
		return row{}, err
	}
	var flood innerFlood
	if err := json.Unmarshal([]byte(line), &flood); err != nil {
		return row{}, err
	}
	if flood.Refused != flood.Sent {
		return row{}, fmt.Errorf("%d of %d invented tokens were not refused with 401", flood.Sent-flood.Refused, flood.Sent)
	}
	used, err := usageOf(s.own)
	return floodRow("in process", beside.name, honest, flood.flooded, rate, flood.Reads, used.rss), err
}

const floodIntro = `### Flood

Medians of %d rounds: a steady honest load, with and without invented tokens beside it. Over HTTP
the full flood is the highest rate at which its generator and the server, which share the machine,
keep up; *elsewhere* sends the same flood to a server of net/http that refuses everything. Inside the
process the handler is called without a network; where *refused* is less than *asked*, the machine had
no time for more. The honest token itself is looked up once in 30 seconds: those are the store reads.
`

func reportFlood(out io.Writer, t *table) {
	fmt.Fprintf(out, floodIntro, t.count())
	for _, setting := range t.settings() {
		fmt.Fprintf(out, "\n#### %s\n\n", map[string]string{"http": "Over HTTP", "in process": "Inside the process"}[setting])
		fmt.Fprintln(out, "| Beside | Flood asked/s | Flood refused/s | Honest requests/s | Honest p50 µs | Honest p99 µs | Ratio of p99 | Store reads, all rounds | RSS MiB, highest | Errors |")
		fmt.Fprintln(out, "| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: |")
		for _, side := range sides {
			values := func(metric string) []float64 { return valuesOf(t.rounds(setting, side.name, metric)) }
			if len(values("p99_us")) == 0 {
				continue
			}
			against := "1"
			if side.name != "quiet" {
				against = spread(t.against(setting, side.name, "quiet", "p99_us", ratio))
			}
			var reads, highest, errs float64
			for _, n := range values("store_reads") {
				reads += n
			}
			for _, n := range values("errors") {
				errs += n
			}
			for _, n := range values("rss") {
				highest = max(highest, n)
			}
			fmt.Fprintf(out, "| %s | %.0f | %.0f | %.0f | %.0f | %.0f | %s | %.0f | %.1f | %.0f |\n", side.name,
				median(values("flood_asked")), median(values("flood_per_s")), median(values("honest_per_s")),
				median(values("p50_us")), median(values("p99_us")), against, reads, highest/(1<<20), errs)
		}
	}
	fmt.Fprintln(out)
}
