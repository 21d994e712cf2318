// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// honestConns are the connections of the honest load in mode flood.
const honestConns = 16

// side is what honest load is measured beside.
type side struct {
	name      string
	share     float64 // of the full flood
	elsewhere bool    // the flood is not at the guard
}

var sides = []side{
	{name: "quiet"},
	{name: "quarter", share: 0.25},
	{name: "half", share: 0.5},
	{name: "full", share: 1},
	// The same flood at a server of net/http that refuses everything: what the machine
	// and the generator alone do to honest load.
	{name: "elsewhere", share: 1, elsewhere: true},
}

var floodMetrics = []string{
	"honest_per_s", "p50_us", "p99_us", "errors", "flood_asked", "flood_per_s", "flood_refused", "store_reads", "rss",
}

// measureFlood measures honest load with and without invented tokens beside it: over
// HTTP, where the generator needs as much of the machine as the server, and inside the
// process of the server, where nothing but the handler is between them.
func measureFlood(ctx context.Context, w *world) error {
	t := &table{mode: "flood", metrics: floodMetrics}
	if err := w.floodHTTP(ctx, t); err != nil {
		return fmt.Errorf("over HTTP: %w", err)
	}
	if err := w.floodInProcess(ctx, t); err != nil {
		return fmt.Errorf("in process: %w", err)
	}
	return wrongAnswers(t)
}

func (w *world) floodHTTP(ctx context.Context, t *table) error {
	chosen := kinds[indexOf("guard-memory-1")]
	s, err := w.start(ctx, chosen, 1)
	if err != nil {
		return err
	}
	defer s.stop(w)
	highest, err := w.highestRate(ctx, s)
	if err != nil {
		return err
	}
	for round := 1; round <= w.rounds; round++ {
		for position, i := range w.random.Perm(len(sides)) {
			r, err := w.besideHTTP(ctx, s, sides[i], highest)
			if err != nil {
				return err
			}
			r.round, r.position = round, position+1
			t.rows = append(t.rows, r)
		}
		if err := t.write(w.out); err != nil {
			return err
		}
		w.say("flood over HTTP: round %d of %d", round, w.rounds)
	}
	return nil
}

// keptUp is the part of the asked rate that must be reached to count as kept up with.
const keptUp = 0.98

// lowestRate is the least that counts as a flood, whether it is kept up with or not: the
// report shows both what was asked and what was done.
const lowestRate = 500

// highestRate raises the flood beside honest load by a half each time, until generator
// and server together cannot keep up with it.
func (w *world) highestRate(ctx context.Context, s *system) (int, error) {
	highest := lowestRate
	for rate := lowestRate; rate <= w.flood; rate += rate / 2 {
		_, got, err := w.honestBeside(ctx, s, s.addr, rate)
		if err != nil {
			return 0, err
		}
		w.say("flood over HTTP: %d/s asked, %.0f/s refused", rate, got.PerSecond)
		if got.PerSecond < keptUp*float64(rate) {
			break
		}
		highest = rate
	}
	return highest, nil
}

// honestBeside measures honest load beside a flood of rate at addr.
func (w *world) honestBeside(ctx context.Context, s *system, addr string, rate int) (honest result, flood flooded, err error) {
	if rate > 0 {
		// The flood is there before the honest load and after it.
		extra := min(w.duration/2, time.Second)
		ended := make(chan error, 1)
		go func() {
			ended <- w.tool(ctx, "flood", flooding{Addr: addr, Token: s.tokens[0], Conns: 8, Rate: rate, Duration: w.duration + extra}, &flood)
		}()
		defer func() {
			if e := <-ended; err == nil {
				err = e
			}
		}()
		if err := pause(ctx, extra/2); err != nil {
			return honest, flood, err
		}
	}
	honest, err = w.honestLoad(ctx, s)
	return honest, flood, err
}

// honestLoad is a steady load with a good token, far from what the server can take.
func (w *world) honestLoad(ctx context.Context, s *system) (result, error) {
	tokens, err := w.loadTokens(s)
	if err != nil {
		return result{}, err
	}
	return w.ownLoad(ctx, loading{Addr: s.addr, Tokens: tokens, Conns: honestConns, Duration: w.duration, Rate: w.honest})
}

func (w *world) besideHTTP(ctx context.Context, s *system, beside side, highest int) (row, error) {
	addr, rate := s.addr, int(beside.share*float64(highest))
	if beside.elsewhere {
		addr = w.authAddr
	}
	before, err := s.storeReads(ctx)
	if err != nil {
		return row{}, err
	}
	honest, flood, err := w.honestBeside(ctx, s, addr, rate)
	if err != nil {
		return row{}, err
	}
	if flood.Refused != flood.Sent {
		return row{}, fmt.Errorf("%d of %d invented tokens were not refused with 401", flood.Sent-flood.Refused, flood.Sent)
	}
	after, err := s.storeReads(ctx)
	if err != nil {
		return row{}, err
	}
	used, err := usageOf(s.own)
	return floodRow("http", beside.name, honest, flood, rate, after-before, used.rss), err
}

func floodRow(setting, name string, honest result, flood flooded, asked int, reads, rss int64) row {
	return row{setting: setting, system: name, base: "quiet", values: map[string]float64{
		"honest_per_s": float64(honest.Requests) / honest.Seconds, "p50_us": honest.P50, "p99_us": honest.P99,
		"errors": float64(honest.Errors), "flood_asked": float64(asked), "flood_per_s": flood.PerSecond,
		"flood_refused": float64(flood.Refused), "store_reads": float64(reads), "rss": float64(rss),
	}}
}

// storeReads asks a Caddy how often its store was read.
func (s *system) storeReads(ctx context.Context) (int64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/debug/vars", nil)
	if err != nil {
		return 0, err
	}
	resp, err := checker.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	var vars struct {
		Reads *int64 `json:"compare_store_reads"`
	}
	if err := json.Unmarshal(body, &vars); err != nil || vars.Reads == nil {
		return 0, fmt.Errorf("/debug/vars has no %s: %w", readsVar, err)
	}
	return *vars.Reads, nil
}

func indexOf(name string) int {
	for i, k := range kinds {
		if k.name == name {
			return i
		}
	}
	panic("no system " + name)
}
