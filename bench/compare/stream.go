// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// streamKinds are the systems that streams and bodies are measured with.
var streamKinds = []string{"caddy", "caddy-handler", "guard-memory-1", "guard-file-1", "forward_auth", "nginx", "nginx-auth_request"}

// perSession is how many streams a session may have by default, and has here.
const perSession = 64

// measureStreams measures the memory of idle SSE streams. Each system is a fresh process
// in each round. A session opens as many as it may, and has been used before: what is
// measured is the streams, not the people who signed in.
func measureStreams(ctx context.Context, w *world) error {
	chosen, err := w.wanted(streamKinds...)
	if err != nil {
		return err
	}
	t := &table{mode: "stream", metrics: []string{"streams", "rss_before", "rss_after", "rss_collected", "per_stream", "first_p50_us"}}
	for round := 1; round <= w.rounds; round++ {
		for position, i := range w.random.Perm(len(chosen)) {
			s, err := w.start(ctx, chosen[i], (w.streams+perSession-1)/perSession)
			if err != nil {
				return err
			}
			r, err := w.measureIdle(ctx, s)
			s.stop(w)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			r.round, r.position = round, position+1
			t.rows = append(t.rows, r)
		}
		if err := t.write(w.out); err != nil {
			return err
		}
		w.say("stream: round %d of %d", round, w.rounds)
	}
	return nil
}

// measureIdle opens the streams eight at a time, lets them be and looks at the memory.
func (w *world) measureIdle(ctx context.Context, s *system) (row, error) {
	if s.seeded() {
		if err := s.useAll(ctx, s.tokens); err != nil {
			return row{}, err
		}
	}
	before, err := usageOf(s.proxies(w))
	if err != nil {
		return row{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	firsts := make([]float64, w.streams)
	transport := &http.Transport{MaxIdleConns: -1}
	defer transport.CloseIdleConnections()
	var work errgroup.Group
	work.SetLimit(8)
	for i := range firsts {
		work.Go(func() error {
			token := s.tokens[0]
			if s.seeded() {
				token = s.tokens[i/perSession]
			}
			took, err := s.openStream(ctx, transport, token)
			firsts[i] = float64(took.Microseconds())
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return row{}, err
	}
	if err := pause(ctx, w.settle); err != nil {
		return row{}, err
	}
	after, err := usageOf(s.proxies(w))
	if err != nil {
		return row{}, err
	}
	if err := s.collect(ctx); err != nil {
		return row{}, err
	}
	collected, err := usageOf(s.proxies(w))
	return row{setting: "idle", system: s.name, base: s.base, values: map[string]float64{
		"streams": float64(w.streams), "rss_before": float64(before.rss), "rss_after": float64(after.rss),
		"rss_collected": float64(collected.rss),
		"per_stream":    float64(after.rss-before.rss) / float64(w.streams), "first_p50_us": median(firsts),
	}}, err
}

// proxies are the processes that are the system's alone: the auth server holds no stream.
func (s *system) proxies(w *world) (own []*process) {
	for _, p := range s.own {
		if p != w.auth {
			own = append(own, p)
		}
	}
	return own
}

// openStream opens a stream that lasts as long as ctx and waits for its first event.
func (s *system) openStream(ctx context.Context, t http.RoundTripper, token string) (time.Duration, error) {
	r, err := s.request(ctx, http.MethodGet, callPath, token, nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("Accept", "text/event-stream")
	began := clock.System()
	resp, err := t.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return 0, fmt.Errorf("a stream is answered with %s", resp.Status)
	}
	got := make([]byte, len(firstEvent))
	if _, err := io.ReadFull(bufio.NewReaderSize(resp.Body, 16), got); err != nil || string(got) != firstEvent {
		return 0, fmt.Errorf("the first event is %q: %w", got, err)
	}
	took := clock.System().Sub(began)
	context.AfterFunc(ctx, func() { resp.Body.Close() })
	return took, nil
}

func reportStreams(out io.Writer, t *table) {
	setting := t.settings()[0]
	fmt.Fprintf(out, "### Idle streams\n\nMedians of %d rounds, %.0f idle SSE streams, fresh processes. RSS is that of the proxy after all streams were open for a while, then after a collection of its garbage.\n\n",
		t.count(), t.rows[0].values["streams"])
	fmt.Fprintln(out, "| System | RSS MiB before | RSS MiB | Ratio of RSS | RSS MiB collected | Ratio of it | kB for each stream | Ratio of growth | First event p50 µs |")
	fmt.Fprintln(out, "| --- | ---: | ---: | --- | ---: | --- | ---: | --- | ---: |")
	for _, system := range t.systems(setting) {
		mid := func(metric string) float64 { return median(valuesOf(t.rounds(setting, system, metric))) }
		against := func(metric string) string {
			if t.base(setting, system) == system {
				return "1"
			}
			return spread(t.against(setting, system, t.base(setting, system), metric, ratio))
		}
		fmt.Fprintf(out, "| `%s` | %.1f | %.1f | %s | %.1f | %s | %.1f | %s | %.0f |\n", system, mid("rss_before")/(1<<20), mid("rss_after")/(1<<20),
			against("rss_after"), mid("rss_collected")/(1<<20), against("rss_collected"), mid("per_stream")/1000, against("per_stream"), mid("first_p50_us"))
	}
	fmt.Fprintln(out)
}
