// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// measureLoad measures requests per second, latency and CPU of all systems at each number
// of connections.
func measureLoad(ctx context.Context, w *world) error {
	chosen, err := w.wanted()
	if err != nil {
		return err
	}
	var systems []*system
	for _, k := range chosen {
		n := 1
		if strings.HasSuffix(k.name, "-many") {
			n = w.tokens
		}
		s, err := w.start(ctx, k, n)
		if err != nil {
			return err
		}
		w.say("%s is ready", s.name)
		systems = append(systems, s)
		defer s.stop(w)
	}
	t := &table{mode: "load", metrics: []string{"requests", "seconds", "per_s", "p50_us", "p99_us", "cpu_us", "errors", "wrk"}}
	for round := 1; round <= w.rounds; round++ {
		for _, conns := range w.conns {
			for position, i := range w.random.Perm(len(systems)) {
				r, err := w.measureOne(ctx, systems[i], conns)
				if err != nil {
					return err
				}
				r.round, r.position = round, position+1
				t.rows = append(t.rows, r)
			}
		}
		if err := t.write(w.out); err != nil {
			return err
		}
		w.say("load: round %d of %d, by %s", round, w.rounds, w.generator())
	}
	return wrongAnswers(t)
}

// measureOne loads one system once.
func (w *world) measureOne(ctx context.Context, s *system, conns int) (row, error) {
	if err := s.warm(ctx, w.duration); err != nil {
		return row{}, err
	}
	before, err := usageOf(s.own)
	if err != nil {
		return row{}, err
	}
	got, err := w.load(ctx, s, conns, w.duration)
	if err != nil {
		return row{}, fmt.Errorf("loading %s: %w", s.name, err)
	}
	after, err := usageOf(s.own)
	if err != nil {
		return row{}, err
	}
	if got.Requests == 0 {
		return row{}, fmt.Errorf("%s answered nothing at %d connections", s.name, conns)
	}
	cpu := float64((after.cpu - before.cpu).Microseconds()) / float64(got.Requests)
	return row{setting: strconv.Itoa(conns), system: s.name, base: s.base, values: map[string]float64{
		"requests": float64(got.Requests), "seconds": got.Seconds, "per_s": float64(got.Requests) / got.Seconds,
		"p50_us": got.P50, "p99_us": got.P99, "cpu_us": cpu, "errors": float64(got.Errors), "wrk": w.byWrk(),
	}}, nil
}

// wrongAnswers is an error where any system answered otherwise than with 200.
func wrongAnswers(t *table) error {
	var wrong []string
	for _, r := range t.rows {
		if r.values["errors"] > 0 {
			wrong = append(wrong, fmt.Sprintf("%s had %v errors in round %d (%s)", r.system, r.values["errors"], r.round, r.setting))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("wrong answers: %s", strings.Join(wrong, "; "))
	}
	return nil
}
