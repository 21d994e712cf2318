// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// result is what a load generator saw.
type result struct {
	Requests int
	Seconds  float64
	P50, P99 float64 // microseconds
	Errors   int     // other statuses than 200, and failures of the connection
}

// The names of what makes the load.
const (
	wrk    = "wrk"
	ownGen = "the load generator of this program"
)

// generator is how the load is made: by wrk where it is installed and can, since it
// takes whole seconds alone.
func (w *world) generator() string {
	if _, err := exec.LookPath(wrk); err != nil || w.duration%time.Second != 0 {
		return ownGen
	}
	return wrk
}

// byWrk is the generator as a number, which is how it stands in the rounds.
func (w *world) byWrk() float64 {
	if w.generator() == wrk {
		return 1
	}
	return 0
}

// load sends requests with the tokens of the system over n connections, each as soon as
// the answer to the one before is there.
func (w *world) load(ctx context.Context, s *system, n int, d time.Duration) (result, error) {
	tokens, err := w.loadTokens(s)
	if err != nil {
		return result{}, err
	}
	if w.generator() == wrk {
		return w.loadWrk(ctx, s, n, d, tokens)
	}
	return w.ownLoad(ctx, loading{Addr: s.addr, Tokens: tokens, Conns: n, Duration: d})
}

// loadTokens is the file with the tokens of the load.
func (w *world) loadTokens(s *system) (string, error) {
	if s.many {
		return s.tokenFile, nil
	}
	return w.once(s.addr+"-token", s.tokens[0]+"\n")
}

//go:embed wrk.lua
var wrkScript string

func (w *world) loadWrk(ctx context.Context, s *system, n int, d time.Duration, tokens string) (r result, err error) {
	script, err := w.once("wrk.lua", wrkScript)
	if err != nil {
		return r, err
	}
	body, err := w.once("call.json", call)
	if err != nil {
		return r, err
	}
	args := []string{
		"-t1", "-c" + strconv.Itoa(n), fmt.Sprintf("-d%ds", int(d/time.Second)), "--timeout", "30s",
		"-s", script, "http://" + s.addr + callPath, "--", tokens, body,
	}
	out, err := exec.CommandContext(ctx, wrk, append(args, callHeaders...)...).CombinedOutput()
	if err != nil {
		return r, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	_, line, found := strings.Cut(string(out), "result ")
	var micros float64
	if !found {
		return r, fmt.Errorf("wrk printed no result:\n%s", out)
	}
	if _, err := fmt.Sscan(line, &r.Requests, &micros, &r.P50, &r.P99, &r.Errors); err != nil {
		return r, fmt.Errorf("wrk printed %q: %w", line, err)
	}
	r.Seconds = micros / 1e6
	return r, nil
}

// ownLoad runs the load generator of this program in a process of its own.
func (w *world) ownLoad(ctx context.Context, l loading) (r result, err error) {
	return r, w.tool(ctx, "load", l, &r)
}

// tool runs a role that takes its orders as JSON and answers with JSON.
func (w *world) tool(ctx context.Context, role string, order, answer any) error {
	text, err := json.Marshal(order)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, self, string(text))
	c.Env = append(os.Environ(), roleEnv+"="+role)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", role, err, errs.String())
	}
	return json.Unmarshal(out.Bytes(), answer)
}

// once writes a file of the run, the first time.
func (w *world) once(name, text string) (string, error) {
	path := w.dir + "/" + name
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// readLines reads a file of tokens.
func readLines(path string) (lines []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	scan := bufio.NewScanner(io.LimitReader(f, 1<<30))
	for scan.Scan() {
		lines = append(lines, scan.Text())
	}
	return lines, scan.Err()
}
