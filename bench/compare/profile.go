// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	// profileConns and profileTime are the load under which a profile is taken.
	profileConns = 16
	profileTime  = 10 * time.Second
	// shownFunctions is how many functions of the module are listed.
	shownFunctions = 15
)

// profiled are the two that are compared: what the module costs beside its own functions,
// such as garbage, shows in the difference.
var profiled = []string{"caddy", "guard-memory-1"}

// taken is a profile and the load under which it was taken.
type taken struct {
	system   string
	samples  []sample
	requests int
}

// profile takes CPU profiles of a plain and of a guarded Caddy under load and says where
// the time goes.
func profile(ctx context.Context, w *world) error {
	var all []taken
	for _, name := range profiled {
		t, err := w.profileOne(ctx, kinds[indexOf(name)])
		if err != nil {
			return err
		}
		all = append(all, t)
	}
	return reportProfile(os.Stdout, all)
}

func (w *world) profileOne(ctx context.Context, k kind) (t taken, err error) {
	s, err := w.start(ctx, k, 1)
	if err != nil {
		return t, err
	}
	defer s.stop(w)
	d := max(w.duration.Truncate(time.Second), profileTime)
	path := filepath.Join(w.out, k.name+".prof")
	fetched := make(chan error, 1)
	go func() { fetched <- s.fetchProfile(ctx, path, d) }()
	got, err := w.load(ctx, s, profileConns, d)
	if e := <-fetched; err == nil {
		err = e
	}
	if err != nil {
		return t, err
	}
	w.say("profile: %s answered %d requests in %.1f s, by %s; see %s", k.name, got.Requests, got.Seconds, w.generator(), path)
	out, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-traces", "-unit=us", path).Output()
	if err != nil {
		return t, fmt.Errorf("go tool pprof: %w", err)
	}
	samples, err := parseTraces(string(out))
	return taken{system: k.name, samples: samples, requests: got.Requests}, err
}

// fetchProfile fetches a CPU profile from a Caddy.
func (s *system) fetchProfile(ctx context.Context, path string, d time.Duration) error {
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
