// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answer is what came back. A server that hangs up, or resets the stream, has status 0.
type answer struct {
	status int
	fields []field
}

// client sends raw requests over one protocol, one after another, to the port of a site.
type client interface {
	// send reports an error only where the server did not even hang up.
	send(r *request) (answer, error)
	close()
}

// h1 is HTTP/1.1 over one connection that lives as long as the server keeps it.
type h1 struct {
	s      *site
	conn   net.Conn
	reader *bufio.Reader
}

func (c *h1) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func (c *h1) open() (err error) {
	if c.conn != nil {
		return nil
	}
	if c.s.scheme == "http" {
		c.conn, err = net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", c.s.port), patience)
	} else if conn, e := dialTLS(c.s.port, "http/1.1"); e == nil {
		c.conn = conn
	} else {
		err = e
	}
	if err == nil {
		c.reader = bufio.NewReader(c.conn)
	}
	return err
}

// wire is the request byte for byte.
func (r *request) wire() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.method, r.target)
	if r.host != "-" {
		fmt.Fprintf(&b, "Host: %s\r\n", r.host)
	}
	for _, f := range r.fields {
		fmt.Fprintf(&b, "%s:%s\r\n", f.name, pad(f.value))
	}
	switch {
	case r.chunked || len(r.trailers) > 0:
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n", len(r.body), r.body)
		for _, f := range r.trailers {
			fmt.Fprintf(&b, "%s:%s\r\n", f.name, pad(f.value))
		}
		b.WriteString("\r\n")
	case r.has("Content-Length") || r.has("Transfer-Encoding"):
		b.WriteString("\r\n" + r.body)
	case r.body != "" || r.method == http.MethodPost:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(r.body), r.body)
	default:
		b.WriteString("\r\n")
	}
	b.WriteString(r.tail)
	return b.String()
}

// pad sets a value off from the colon, as everybody does, unless it brings white space.
func pad(value string) string {
	if value == "" || value[0] == ' ' || value[0] == '\t' {
		return value
	}
	return " " + value
}

// odd tells whether server or client may see more or less than one message.
func (r *request) odd() bool {
	for _, f := range r.fields {
		if strings.ContainsAny(f.name+f.value, "\r\n") {
			return true
		}
	}
	return r.method == http.MethodConnect || r.tail != "" || r.has("Content-Length") || r.has("Transfer-Encoding") || len(r.trailers) > 0 ||
		strings.ContainsAny(r.method+r.target+r.host, "\r\n")
}

func (c *h1) send(r *request) (answer, error) {
	reused := c.conn != nil
	if r.odd() {
		c.close()
		defer c.close()
	}
	a, err := c.exchange(r)
	if err != nil && reused && a.status == 0 && !isTimeout(err) {
		// The server may have closed an idle connection just then.
		c.close()
		a, err = c.exchange(r)
	}
	if err != nil {
		c.close()
		if !isTimeout(err) {
			err = nil
		}
	}
	return a, err
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func (c *h1) exchange(r *request) (answer, error) {
	if err := c.open(); err != nil {
		return answer{}, err
	}
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return answer{}, err
	}
	// The server may refuse and hang up before it has read everything.
	_, werr := io.WriteString(c.conn, r.wire())
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && r.odd() {
		_ = half.CloseWrite()
	}
	for {
		resp, err := http.ReadResponse(c.reader, &http.Request{Method: r.method})
		if err != nil {
			return answer{}, errors.Join(err, werr)
		}
		if resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		return c.finish(resp)
	}
}

// finish reads the body and decides whether the connection lives on.
func (c *h1) finish(resp *http.Response) (answer, error) {
	a := answer{status: resp.StatusCode, fields: []field{{"content-length", strconv.FormatInt(resp.ContentLength, 10)}}}
	for name, all := range resp.Header {
		for _, v := range all {
			a.fields = append(a.fields, field{strings.ToLower(name), v})
		}
	}
	if resp.StatusCode == http.StatusSwitchingProtocols {
		c.close()
		return a, nil
	}
	_, err := io.Copy(io.Discard, resp.Body)
	if err != nil || resp.Close || c.reader.Buffered() > 0 {
		c.close()
	}
	return a, nil
}
