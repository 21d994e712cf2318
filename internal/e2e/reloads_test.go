// SPDX-License-Identifier: Apache-2.0

//go:build unix

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
)

// fullRates is set in the environment to drive the test of reloads by the clock, at the
// rates that are named there, instead of by what was done between two reloads.
const fullRates = "MCPOAUTH_RELOAD_RATES"

// openStreams is how many streams stay open over all reloads.
const openStreams = 50

// reloading is one run of the test of reloads.
type reloading struct {
	*load
	hub     *hub
	other   int // port of a site that has nothing to do with it
	own     byVersion
	streams []*bufio.Scanner
	hangUp  context.CancelFunc
}

// However often the configuration is reloaded, nobody is logged out, no call fails, no
// stream ends, and afterwards the server holds no more than before.
//
// Without MCPOAUTH_RELOAD_RATES the clients work as fast as the machine can, and a reload
// waits until they have done what they would have done in a twentieth of a second.
func TestReloadsUnderLoad(t *testing.T) {
	reloads, full := 200, os.Getenv(fullRates) != ""
	if raced {
		reloads = 25
	}
	r := newReloading(t)
	r.quiet()
	goroutines, descriptors := r.held()
	r.listen()
	began := time.Now()
	if full {
		r.run(logins, 8, time.Second/20)
		r.run(refreshes, 8, time.Second/100)
		r.run(calls, 4, time.Second/80)
	} else {
		r.run(logins, 2, 0)
		r.run(refreshes, 2, 0)
		r.run(calls, 2, 5*time.Millisecond)
	}
	due := time.NewTicker(time.Second / 4)
	defer due.Stop()
	for i := range reloads {
		if full {
			<-due.C
		} else {
			r.awaitWork([kinds]int64{logins: 1, refreshes: 5, calls: 4})
		}
		if err := r.w.caddy.Load(r.ctx, r.config(i+1)); err != nil {
			t.Fatalf("reload %d: %v\n%s", i, err, r.w.caddy.Output())
		}
		if i%(reloads/5) == 0 {
			r.checkStreams(fmt.Sprint("after reload ", i))
		}
	}
	took := time.Since(began).Seconds()
	r.end()
	r.checkStreams("at the end")
	r.check()
	t.Logf("%d reloads in %.1f s; in a second: %.1f logins, %.1f refreshes, %.1f calls", reloads, took,
		float64(r.done[logins].Load())/took, float64(r.done[refreshes].Load())/took, float64(r.done[calls].Load())/took)
	if t.Failed() {
		t.Log(r.w.caddy.Output())
	}
	r.hangUp()
	if err := r.w.caddy.Load(r.w.ctx, r.config(0)); err != nil {
		t.Fatal(err)
	}
	r.quiet()
	r.holds(goroutines, descriptors)
}

// byVersion speaks HTTP/2 with one server and HTTP/1.1 with all others.
type byVersion struct {
	addr     string
	two, one *http.Transport
}

func twoVersions(addr string) byVersion {
	v := byVersion{addr: addr, one: &http.Transport{}, two: &http.Transport{Protocols: new(http.Protocols)}}
	v.two.Protocols.SetUnencryptedHTTP2(true)
	return v
}

// RoundTrip implements http.RoundTripper.
func (v byVersion) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == v.addr {
		return v.two.RoundTrip(r)
	}
	return v.one.RoundTrip(r)
}

func (v byVersion) CloseIdleConnections() {
	v.one.CloseIdleConnections()
	v.two.CloseIdleConnections()
}

// newReloading returns a server with some sessions, after it has done each kind of work and
// was reloaded once.
func newReloading(t *testing.T) *reloading {
	t.Helper()
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	w.ctx = ctx
	r := &reloading{hub: newHub(), other: caddyrun.FreePort(t), own: twoVersions(w.addr)}
	w.backend = &backend{Server: httptest.NewServer(r.hub)}
	t.Cleanup(w.backend.CloseClientConnections)
	w.transport = r.own
	r.load = &load{w: w}
	r.listenFirst()
	w.start(r.config(1))
	r.load = newLoad(w, r.own, 20)
	for range 40 {
		if err := errors.Join(r.refreshOne(), r.call()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.caddy.Load(w.ctx, r.config(0)); err != nil {
		t.Fatal(err)
	}
	return r
}

// listenFirst opens the socket of the site, as a service manager does. With one of its own,
// which Caddy closes and opens anew with each reload, the kernel resets connections that
// were not accepted yet, whatever the site does.
func (r *reloading) listenFirst() {
	t := r.w.t
	t.Helper()
	l, err := net.Listen("tcp", r.w.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	r.w.home.Files = []*os.File{file}
}

// config is a configuration that differs from the one before: in another site, in what is
// granted, or in how long streams last.
func (r *reloading) config(n int) string {
	words := []string{
		"",
		fmt.Sprintf("scope mcp {\ndescription \"Version %d\"\n}\nallow {\nrole MCP.User Other%d\n}\ntokens {\naccess %dm\n}\n", n, n, 30+n%20),
		fmt.Sprintf("streams {\nmax_age %dm\n}\n", 30+n%20),
	}[n%3]
	site := strings.Replace(globals(bothVersions)+r.w.site(words), "mcp_oauth {", fmt.Sprintf("bind fd/%d\nmcp_oauth {", caddyrun.FirstFile), 1)
	return site + fmt.Sprintf("http://127.0.0.1:%d {\nrespond %d\n}\n", r.other, n)
}

// listen opens the streams, ten for a session.
func (r *reloading) listen() {
	ctx, hangUp := context.WithCancel(r.w.ctx)
	r.hangUp = hangUp
	for i := range openStreams {
		r.streams = append(r.streams, r.w.listen(ctx, http.MethodGet, r.tokens[i/10].Load().(string)))
	}
}

// checkStreams sends an event into each stream and waits for it at the other end.
func (r *reloading) checkStreams(text string) {
	r.w.t.Helper()
	if n := r.hub.say(text); n != openStreams {
		r.w.t.Errorf("%s: %d streams are left at the backend", text, n)
	}
	for i, s := range r.streams {
		if got, err := heard(s); err != nil || got != text {
			r.w.t.Fatalf("%s: stream %d: %q, %v\n%s", text, i, got, err, r.w.caddy.Output())
		}
	}
}

// quiet closes the connections that wait for more to do, at all three ends.
func (r *reloading) quiet() {
	r.w.t.Helper()
	r.own.CloseIdleConnections()
	r.w.backend.CloseClientConnections()
	r.w.emulator.stop()
	r.w.emulator.start(r.w.t)
}

// held is what the server holds when it has settled: the least for half a second.
func (r *reloading) held() (goroutines, descriptors int) {
	goroutines, descriptors, unchanged := math.MaxInt, math.MaxInt, 0
	eventually(r.w.t, "the server settles", func() bool {
		g, d, _ := r.holding()
		if g < goroutines || d < descriptors {
			unchanged = 0
		}
		goroutines, descriptors = min(g, goroutines), min(d, descriptors)
		unchanged++
		return unchanged > 10
	})
	return goroutines, descriptors
}

// holds wants the server to hold no more than before.
func (r *reloading) holds(goroutines, descriptors int) {
	r.w.t.Helper()
	var g, d int
	var where string
	defer func() {
		r.w.t.Logf("goroutines %d, before %d; descriptors %d, before %d", g, goroutines, d, descriptors)
		if r.w.t.Failed() {
			r.w.t.Log(where)
		}
	}()
	eventually(r.w.t, "the server lets go of what it held", func() bool {
		g, d, where = r.holding()
		return g <= goroutines && d <= descriptors
	})
}

func (r *reloading) holding() (goroutines, descriptors int, where string) {
	r.w.t.Helper()
	goroutines, where, err := r.w.caddy.Goroutines(r.w.ctx)
	if err != nil {
		r.w.t.Fatal(err)
	}
	if runtime.GOOS == "linux" { // which alone can tell
		descriptors, err = r.w.caddy.Descriptors()
	}
	if err != nil {
		r.w.t.Fatal(err)
	}
	return goroutines, descriptors, where
}
