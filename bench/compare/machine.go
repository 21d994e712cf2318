// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// machineFile stands beside the rounds and says where they were measured.
const machineFile = "machine.txt"

// describe writes what the figures depend on.
func (w *world) describe() error {
	version, _ := caddy.Version()
	text := fmt.Sprintf("%d processors (%s), Linux %s, %s, Caddy %s, %s, %s.\nOn %s, with a load of %s before the run. Order of the systems by seed %d.\n",
		runtime.NumCPU(), processor(), firstLine("uname", "-r"), runtime.Version(), version,
		firstLine("nginx", "-v"), firstLine(wrk, "-v"), clock.System().UTC().Format("2006-01-02 15:04 UTC"), loadAverage(), w.seed)
	return os.WriteFile(filepath.Join(w.out, machineFile), []byte(text), 0o644)
}

// processor is the name of the first one.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.SplitSeq(string(text), "\n") {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// loadAverage is that of the last minute.
func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// firstLine is the first line that a program prints, whatever its status: wrk -v has an
// unsuccessful one.
func firstLine(program string, args ...string) string {
	out, _ := exec.Command(program, args...).CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	if line == "" {
		return "no " + program
	}
	line, _, _ = strings.Cut(line, " Copyright")
	return strings.TrimSpace(strings.TrimPrefix(line, "nginx version: "))
}
