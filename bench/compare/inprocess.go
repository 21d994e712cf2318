// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	mcpoauth "github.com/mcpoauth/caddy-mcp-oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// playInProcess is a Caddy that floods its own handler on command: "flood <rate> <token>"
// begins, "stop" ends and prints what came of it. It serves honest clients meanwhile.
func playInProcess(args []string) error {
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, nil)
	if err != nil {
		return err
	}
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	handler, server, err := running()
	if err != nil {
		return err
	}
	f := &inner{handler: handler, server: server}
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		words := strings.Fields(commands.Text())
		switch words[0] {
		case "flood":
			rate, err := strconv.Atoi(words[1])
			if err != nil {
				return err
			}
			f.begin(rate, words[2])
		case "stop":
			if err := json.NewEncoder(os.Stdout).Encode(f.end()); err != nil {
				return err
			}
		}
	}
	return caddy.Stop()
}

// running finds the handler in the configuration that runs.
func running() (*mcpoauth.Handler, *caddyhttp.Server, error) {
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		return nil, nil, err
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		if h := handlerIn(server.Routes); h != nil {
			return h, server, nil
		}
	}
	return nil, nil, errors.New("the configuration has no handler")
}

func handlerIn(routes caddyhttp.RouteList) *mcpoauth.Handler {
	for _, route := range routes {
		for _, h := range route.Handlers {
			switch h := h.(type) {
			case *mcpoauth.Handler:
				return h
			case *caddyhttp.Subroute:
				if found := handlerIn(h.Routes); found != nil {
					return found
				}
			}
		}
	}
	return nil
}

// inner is a flood inside the process.
type inner struct {
	handler       *mcpoauth.Handler
	server        *caddyhttp.Server
	sent, refused atomic.Int64
	reads         int64
	began         time.Time
	quit          chan struct{}
	work          sync.WaitGroup
}

// innerFlood is flooded with what only the process itself can count.
type innerFlood struct {
	flooded
	Reads int64
}

// begin floods with a rate per second; 0 only begins to count.
func (f *inner) begin(rate int, token string) {
	f.sent.Store(0)
	f.refused.Store(0)
	f.reads, f.began, f.quit = reads.Value(), clock.System(), make(chan struct{})
	const workers = 4
	for i := range workers {
		f.work.Go(func() { f.flood(i, float64(rate)/workers, token) })
	}
}

func (f *inner) end() innerFlood {
	close(f.quit)
	f.work.Wait()
	seconds := clock.System().Sub(f.began).Seconds()
	return innerFlood{
		flooded: flooded{Sent: f.sent.Load(), Refused: f.refused.Load(), PerSecond: float64(f.sent.Load()) / seconds},
		Reads:   reads.Value() - f.reads,
	}
}

// turn is after how many calls a worker lets others run. A real flood comes over
// connections, which do so at each read.
const turn = 8

// late is how much a worker makes up for: more would turn it into a loop that keeps the
// processor for itself, which nothing that comes over a network can.
const late = 4 * beat

// flood calls the handler as often as is due at each beat, each time with another token.
func (f *inner) flood(i int, rate float64, token string) {
	w := &sink{header: http.Header{}}
	r, err := http.NewRequest(http.MethodPost, callPath, http.NoBody)
	if err != nil {
		panic(err)
	}
	r.Host, r.RequestURI, r.RemoteAddr = f.server.Listen[0], callPath, fmt.Sprintf("127.0.0.1:%d", 50_000+i)
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, f.server)
	random := mathrand.New(mathrand.NewPCG(uint64(i), uint64(f.began.UnixNano())))
	ticks := time.NewTicker(beat)
	defer ticks.Stop()
	most := max(1, int(late.Seconds()*rate))
	for done := 0; ; {
		select {
		case <-f.quit:
			return
		case <-ticks.C:
		}
		due := f.due(rate)
		for done = max(done, due-most); done < due; done++ {
			r.Header["Authorization"] = []string{"Bearer " + invented(token, random)}
			clear(w.header)
			w.status = 0
			if err := f.handler.ServeHTTP(w, r, refusesAll); err == nil && w.status == http.StatusUnauthorized {
				f.refused.Add(1)
			}
			f.sent.Add(1)
			if done%turn == 0 {
				runtime.Gosched()
			}
		}
	}
}

// due is how many calls there should have been by now.
func (f *inner) due(rate float64) int { return int(clock.System().Sub(f.began).Seconds() * rate) }

// refusesAll is the next handler, which a flood must not reach.
var refusesAll caddyhttp.Handler = caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusTeapot)
	return nil
})

// sink is an answer that nobody reads.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
