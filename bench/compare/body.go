// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// measureBodies measures one large body in each direction.
func measureBodies(ctx context.Context, w *world) error {
	chosen, err := w.wanted(append([]string{"direct"}, streamKinds...)...)
	if err != nil {
		return err
	}
	var systems []*system
	for _, k := range chosen {
		s, err := w.start(ctx, k, 1)
		if err != nil {
			return err
		}
		systems = append(systems, s)
		defer s.stop(w)
	}
	t := &table{mode: "body", metrics: []string{"bytes", "seconds", "mib_per_s", "cpu_ms"}}
	size := int64(w.megabyte) << 20
	for round := 1; round <= w.rounds; round++ {
		for position, i := range w.random.Perm(len(systems)) {
			for _, way := range []string{"up", "down"} {
				r, err := systems[i].transfer(ctx, way, size)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", systems[i].name, way, err)
				}
				r.round, r.position = round, position+1
				t.rows = append(t.rows, r)
			}
		}
		if err := t.write(w.out); err != nil {
			return err
		}
		w.say("body: round %d of %d", round, w.rounds)
	}
	return nil
}

// transfer sends or fetches one body. The same connection is used as for the check, and
// a short request before it makes it warm.
func (s *system) transfer(ctx context.Context, way string, size int64) (row, error) {
	if _, _, err := s.post(ctx, s.tokens[0]); err != nil {
		return row{}, err
	}
	before, err := usageOf(s.own)
	if err != nil {
		return row{}, err
	}
	began := clock.System()
	if way == "up" {
		err = s.upload(ctx, size)
	} else {
		err = s.download(ctx, size)
	}
	took := clock.System().Sub(began)
	if err != nil {
		return row{}, err
	}
	after, err := usageOf(s.own)
	return row{setting: way, system: s.name, base: s.base, values: map[string]float64{
		"bytes": float64(size), "seconds": took.Seconds(), "mib_per_s": float64(size) / (1 << 20) / took.Seconds(),
		"cpu_ms": float64(after.cpu-before.cpu) / float64(time.Millisecond),
	}}, err
}

func (s *system) upload(ctx context.Context, size int64) error {
	r, err := s.request(ctx, http.MethodPost, uploadPath, s.tokens[0], io.LimitReader(zeros{}, size))
	if err != nil {
		return err
	}
	r.ContentLength = size
	resp, err := checker.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && string(got) != strconv.FormatInt(size, 10) {
		err = fmt.Errorf("%s, %q bytes arrived", resp.Status, got)
	}
	return err
}

func (s *system) download(ctx context.Context, size int64) error {
	r, err := s.request(ctx, http.MethodGet, downloadPath+"?bytes="+strconv.FormatInt(size, 10), s.tokens[0], nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept-Encoding", "identity")
	resp, err := checker.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && n != size {
		err = fmt.Errorf("%s, %d bytes arrived", resp.Status, n)
	}
	return err
}

func reportBodies(out io.Writer, t *table) {
	fmt.Fprintf(out, "### Bodies\n\nMedians of %d rounds, one body of %.0f MiB in each round. CPU is the mean, since the system counts it in steps of 10 ms.\n", t.count(), t.rows[0].values["bytes"]/(1<<20))
	for _, way := range t.settings() {
		fmt.Fprintf(out, "\n#### %s\n\n| System | MiB/s | Ratio of MiB/s | CPU ms | Ratio of CPU |\n| --- | ---: | --- | ---: | --- |\n",
			map[string]string{"up": "From the client to the backend", "down": "From the backend to the client"}[way])
		for _, system := range t.systems(way) {
			speed, cpu := "1", "1"
			if base := t.base(way, system); base != system {
				speed = spread(t.against(way, system, base, "mib_per_s", ratio))
				cpu = fmt.Sprintf("%.2f", mean(t.rounds(way, system, "cpu_ms"))/mean(t.rounds(way, base, "cpu_ms")))
			}
			fmt.Fprintf(out, "| `%s` | %.0f | %s | %.0f | %s |\n", system,
				median(valuesOf(t.rounds(way, system, "mib_per_s"))), speed, mean(t.rounds(way, system, "cpu_ms")), cpu)
		}
	}
	fmt.Fprintln(out)
}

func mean(m map[int]float64) float64 {
	sum := 0.0
	for _, v := range m {
		sum += v
	}
	return sum / float64(len(m))
}
