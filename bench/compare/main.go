// SPDX-License-Identifier: Apache-2.0

// Command compare measures the guard beside what people would use without it, all in one
// run: plain Caddy, forward_auth, nginx with and without auth_request, a proxy of net/http,
// and the backend itself. Every system is a process of its own and is checked before it is
// loaded. The order of the systems is another one in each round, so that what disturbs the
// machine meets all of them alike, and each is compared with plain Caddy of the same round.
//
//	go run ./bench/compare                                     everything, about an hour
//	go run ./bench/compare -rounds 1 -duration 200ms           does it work at all?
//	go run ./bench/compare -modes load -conns 16 -systems caddy,guard-memory-1
//	go run ./bench/compare -modes profile                      where the time goes
//	go run ./bench/compare -report                             the report of the rounds that are there
//
// The rounds go to bench/rounds/*.csv, the report in Markdown to standard output.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "compare:", err)
		stop()
		os.Exit(1)
	}
}

// mode is a part of a run.
type mode struct {
	name string
	run  func(context.Context, *world) error
}

// modes are the parts of a run in their order.
var modes = []mode{
	{"load", measureLoad}, {"stream", measureStreams}, {"body", measureBodies}, {"flood", measureFlood}, {"profile", profile},
}

func run(ctx context.Context, args []string) error {
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.report {
		return report(os.Stdout, o.out)
	}
	w, err := newWorld(o)
	if err != nil {
		return err
	}
	defer w.close()
	for _, m := range modes {
		if !o.modes[m.name] {
			continue
		}
		if err := m.run(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if o.modes["load"] || o.modes["stream"] || o.modes["body"] || o.modes["flood"] {
		return report(os.Stdout, o.out)
	}
	return nil
}
