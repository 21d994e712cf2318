// SPDX-License-Identifier: Apache-2.0

package authserver

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are pipes, which have a place in synctest.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.done) }); return nil }

func (*pipes) Addr() net.Addr { return &net.TCPAddr{} }

// M05: a body that trickles for ever costs ten seconds.
func TestSec_M05_SlowBody(t *testing.T) {
	for _, endpoint := range []string{"token", "revoke", "register", "login/continue", "authorize", "jwks", "callback", "none"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
			server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if endpoint == "none" {
					w.NoDocument(rw, r, Call{Address: home, Ref: "ref0"})
					return
				}
				w.Serve(rw, r, Call{Endpoint: endpoint, Address: home, Ref: "ref0"})
			})}
			go func() { _ = server.Serve(p) }()
			client, conn := net.Pipe()
			p.conns <- conn
			began := time.Now()
			typ := formType
			if endpoint == "register" {
				typ = "application/json"
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				_, err := io.WriteString(client, "POST /x HTTP/1.1\r\nHost: mcp.example.com\r\nContent-Type: "+typ+"\r\nContent-Length: 1000\r\n\r\n")
				for err == nil {
					<-time.After(time.Second)
					_, err = io.WriteString(client, "a")
				}
			})
			res, err := http.ReadResponse(bufio.NewReader(client), nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := time.Since(began); d > bodyBudget+time.Second || d < bodyBudget {
				t.Errorf("%s: answered after %s", endpoint, d)
			}
			want := map[string]int{"jwks": 405, "callback": 405, "none": 404}[endpoint]
			if want == 0 {
				want = http.StatusBadRequest
			}
			if res.StatusCode != want {
				t.Errorf("%s: %d", endpoint, res.StatusCode)
			}
			_ = client.Close()
			wg.Wait()
			_ = server.Close()
		})
	}
}

// The budget is for reading alone: a slow answer of the provider or the store is not cut.
func TestBudgetEndsWithTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deadlines := &deadlineWriter{ResponseRecorder: httptest.NewRecorder()}
		r := request("POST", issuer+"/token", "a=b")
		release := limitBody(deadlines, r)
		defer release()
		if _, err := io.ReadAll(r.Body); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * bodyBudget)
		synctest.Wait()
		if deadlines.set != 0 {
			t.Error("the connection was cut while the request was worked on")
		}
	})
}

// A deadline that somebody else moves does not help: the reader itself fails.
func TestBudgetHoldsWithoutDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := request("POST", issuer+"/token", "")
		r.Body = io.NopCloser(strings.NewReader("abc"))
		release := limitBody(httptest.NewRecorder(), r)
		defer release()
		one := make([]byte, 1)
		if _, err := r.Body.Read(one); err != nil {
			t.Fatal(err)
		}
		<-time.After(bodyBudget)
		synctest.Wait()
		if _, err := r.Body.Read(one); !errors.Is(err, errTooSlow) {
			t.Error(err)
		}
	})
}

type deadlineWriter struct {
	*httptest.ResponseRecorder
	set int
}

func (d *deadlineWriter) SetReadDeadline(time.Time) error { d.set++; return nil }
