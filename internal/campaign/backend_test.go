// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// idHeader bears the number of a case; it has to reach the backend as it was sent.
const idHeader = "Mcp-Param-Case"

// arrival is one request as a backend read it from the wire.
type arrival struct {
	site           *site
	method, target string
	fields         []field
	raw            string // the head and the trailers
	body           string
}

// values are those of all lines with that name, whatever its case.
func values(fields []field, name string) (all []string) {
	for _, f := range fields {
		if strings.EqualFold(f.name, name) {
			all = append(all, f.value)
		}
	}
	return all
}

// records are the arrivals at all backends, by case.
type records struct {
	mu   sync.Mutex
	byID map[string][]arrival
}

func (r *records) add(a arrival) {
	id := strings.Join(values(a.fields, idHeader), "+")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byID[id] = append(r.byID[id], a)
}

// take returns the arrivals of a case and forgets them.
func (r *records) take(id string) []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.byID[id]
	delete(r.byID, id)
	return seen
}

// backend answers raw HTTP/1.1 and says in every answer what a backend must not say.
type backend struct {
	site     *site
	listener net.Listener
}

const backendAnswer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nWWW-Authenticate: Bearer realm=\"planted\"\r\n" +
	"Service-Worker-Allowed: /planted\r\n" +
	"Set-Cookie: __Host-mcpo_b_planted=1; Path=/; Secure\r\nSet-Cookie: mcpo_dev_f_planted=1\r\nSet-Cookie: theirs=1\r\n" +
	"Access-Control-Allow-Origin: https://planted.test\r\nAccess-Control-Allow-Credentials: true\r\nContent-Length: 2\r\n\r\n"

func newBackend(t testing.TB, s *site) *backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	b := &backend{site: s, listener: l}
	go b.serve()
	return b
}

func (b *backend) addr() string { return b.listener.Addr().String() }

func (b *backend) serve() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		go b.converse(conn)
	}
}

func (b *backend) converse(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for {
		a, err := b.read(r, conn)
		if err != nil {
			return
		}
		b.site.w.arrived.add(a)
		answer := backendAnswer
		if a.method != http.MethodHead {
			answer += "ok"
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// read reads one request byte for byte. It understands what the web server's transport
// writes; anything else ends the connection.
func (b *backend) read(r *bufio.Reader, w io.Writer) (arrival, error) {
	a := arrival{site: b.site}
	line, err := r.ReadString('\n')
	if err != nil {
		return a, err
	}
	a.raw = line
	a.method, a.target, _ = strings.Cut(strings.TrimSpace(line), " ")
	a.target = strings.TrimSuffix(a.target, " HTTP/1.1")
	if err := a.readFields(r); err != nil {
		return a, err
	}
	if len(values(a.fields, "Expect")) > 0 {
		if _, err := io.WriteString(w, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return a, err
		}
	}
	if len(values(a.fields, "Transfer-Encoding")) > 0 {
		return a, a.readChunks(r)
	}
	if length := values(a.fields, "Content-Length"); len(length) > 0 {
		n, err := strconv.Atoi(length[0])
		if err != nil {
			return a, err
		}
		body := make([]byte, n)
		_, err = io.ReadFull(r, body)
		a.body = string(body)
		return a, err
	}
	return a, nil
}

// readFields reads lines up to the empty one.
func (a *arrival) readFields(r *bufio.Reader) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		a.raw += line
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return nil
		}
		name, value, _ := strings.Cut(line, ":")
		a.fields = append(a.fields, field{name, textproto.TrimString(value)})
	}
}

func (a *arrival) readChunks(r *bufio.Reader) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(line), 16, 32)
		if err != nil {
			return err
		}
		if n == 0 {
			return a.readFields(r)
		}
		chunk := make([]byte, n+2)
		if _, err := io.ReadFull(r, chunk); err != nil {
			return err
		}
		a.body += string(chunk[:n])
	}
}
