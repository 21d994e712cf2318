// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
)

// busyPath is where the child tells how long it has worked, in nanoseconds.
const busyPath = "/busy"

// serveProvider is the child: an emulator of Entra ID that signs its first user in
// without a page. It prints its URL and ends when standard input does.
func serveProvider() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	base := "http://" + l.Addr().String()
	var callbacks []string
	for _, host := range hosts {
		callbacks = append(callbacks, "https://"+host+"/oauth/callback")
	}
	emulator := entratest.New(entratest.Options{BaseURL: base, RedirectURIs: callbacks})
	emulator.SignInAs(entratest.DefaultUsers()[0].Username)
	var busy atomic.Int64
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == busyPath {
				fmt.Fprint(w, busy.Load())
				return
			}
			began := time.Now()
			emulator.ServeHTTP(w, r)
			busy.Add(int64(time.Since(began)))
		}))
	}()
	fmt.Println(base)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// upstream is the provider as the benchmarks see it.
type upstream struct {
	url     string
	browser *http.Client // follows no redirect
	process *exec.Cmd
	stdin   io.Closer
}

var startUpstream = sync.OnceValues(func() (*upstream, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), asProvider+"=1")
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("starting the provider: %w", err)
	}
	u := &upstream{
		url: strings.TrimSpace(line), process: c, stdin: in,
		browser: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: 8},
			Timeout:       time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	onCleanUp(u.stop)
	return u, nil
})

func (u *upstream) stop() error {
	u.browser.CloseIdleConnections()
	if err := u.stdin.Close(); err != nil {
		return err
	}
	return u.process.Wait()
}

// visit opens a page of the provider and returns where it redirects to.
func (u *upstream) visit(target string) (string, error) {
	resp, err := u.browser.Get(target)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		body, _ := io.ReadAll(resp.Body)
		return "", fmt.Errorf("provider: %s: %s", resp.Status, body)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Header.Get("Location"), err
}

// busy is how long the provider has worked so far.
func (u *upstream) busy(tb testing.TB) time.Duration {
	tb.Helper()
	resp, err := u.browser.Get(u.url + busyPath)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	ns, err := strconv.ParseInt(string(body), 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return time.Duration(ns)
}
