// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are the words of the command line.
type options struct {
	systems  []string // empty: all
	modes    map[string]bool
	conns    []int
	rounds   int
	duration time.Duration
	tokens   int
	streams  int
	settle   time.Duration
	megabyte int
	idle     int
	honest   int
	flood    int
	seed     uint64
	out      string
	report   bool
}

func parseOptions(args []string) (options, error) {
	o := options{modes: map[string]bool{}}
	f := flag.NewFlagSet("compare", flag.ContinueOnError)
	systems := f.String("systems", "", "comma-separated `names`; what they are compared with comes along (default all)")
	wanted := f.String("modes", "load,stream,body,flood", "comma-separated `modes`: load, stream, body, flood, profile")
	conns := f.String("conns", "1,16,64", "comma-separated `numbers` of connections in mode load")
	f.IntVar(&o.rounds, "rounds", 20, "rounds of each mode")
	f.DurationVar(&o.duration, "duration", 2*time.Second, "of one measurement; wrk takes whole seconds, the load generator in here takes any")
	f.IntVar(&o.tokens, "tokens", 10_000, "distinct tokens of the systems whose name ends in -many")
	f.IntVar(&o.streams, "streams", 1000, "idle SSE streams in mode stream")
	f.DurationVar(&o.settle, "settle", 5*time.Second, "how long streams are left alone before memory is read")
	f.IntVar(&o.megabyte, "body", 100, "size of the body in mode body, in `MiB`")
	f.IntVar(&o.idle, "idle", 256, "keepalive_idle_conns_per_host of the recommended transport block")
	f.IntVar(&o.honest, "honest", 500, "honest requests per second in mode flood")
	f.IntVar(&o.flood, "flood", 100_000, "invented tokens per second in mode flood, in the process of the server")
	f.Uint64Var(&o.seed, "seed", 1, "of the order of the systems")
	f.StringVar(&o.out, "out", "bench/rounds", "`directory` of the rounds")
	f.BoolVar(&o.report, "report", false, "measure nothing, print the report of the rounds in -out")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	for name := range strings.SplitSeq(*wanted, ",") {
		o.modes[name] = true
	}
	for name := range o.modes {
		if !slices.ContainsFunc(modes, func(m mode) bool { return m.name == name }) {
			return o, fmt.Errorf("-modes: there is no mode %q", name)
		}
	}
	for text := range strings.SplitSeq(*conns, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return o, fmt.Errorf("-conns: %q is not a number of connections", text)
		}
		o.conns = append(o.conns, n)
	}
	if *systems != "" {
		o.systems = strings.Split(*systems, ",")
	}
	if o.rounds < 1 || o.duration <= 0 || o.tokens < 1 || o.streams < 1 || o.megabyte < 1 || o.honest < 1 || o.flood < 1 {
		return o, fmt.Errorf("-rounds, -duration, -tokens, -streams, -body, -honest and -flood must be positive")
	}
	return o, nil
}
