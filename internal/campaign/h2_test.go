// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2 is HTTP/2 frame by frame, over TLS or in the clear, so that any pseudo-header and
// any header can be sent.
type h2 struct {
	s       *site
	conn    net.Conn
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	stream  uint32
}

// maxStreams is how many requests one connection serves: what the server does not read
// of refused bodies would otherwise use up the flow control.
const maxStreams = 100

func (c *h2) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func (c *h2) open() (err error) {
	if c.conn != nil && c.stream < 2*maxStreams {
		return nil
	}
	c.close()
	if c.s.scheme == "http" {
		c.conn, err = net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", c.s.port), patience)
	} else if conn, e := dialTLS(c.s.port, "h2"); e == nil {
		c.conn = conn
	} else {
		err = e
	}
	if err != nil {
		return err
	}
	c.stream = 1
	c.block.Reset()
	c.encoder = hpack.NewEncoder(&c.block)
	c.framer = http2.NewFramer(c.conn, c.conn)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.AllowIllegalWrites = true
	if _, err := io.WriteString(c.conn, http2.ClientPreface); err != nil {
		return err
	}
	return c.framer.WriteSettings()
}

func (c *h2) send(r *request) (answer, error) {
	fresh := c.conn == nil
	a, err := c.exchange(r)
	if err != nil && !fresh && a.status == 0 && !isTimeout(err) && !errors.Is(err, errReset) {
		c.close()
		a, err = c.exchange(r)
	}
	if err != nil {
		if !errors.Is(err, errReset) {
			c.close()
		}
		if !isTimeout(err) {
			err = nil
		}
	}
	return a, err
}

var errReset = errors.New("the server reset the stream")

// pseudo are the fields that begin a request of HTTP/2 and HTTP/3.
func (r *request) pseudo(scheme string) []field {
	p := []field{{":method", r.method}, {":scheme", scheme}, {":path", r.target}}
	if r.host != "-" {
		p = append(p, field{":authority", r.host})
	}
	return p
}

// lowered is the name as these protocols want it. A name that is not a token at all is
// sent as it is.
func lowered(name string) string { return strings.ToLower(name) }

func (c *h2) exchange(r *request) (answer, error) {
	if err := c.open(); err != nil {
		return answer{}, err
	}
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return answer{}, err
	}
	id := c.stream
	c.stream += 2
	body := r.body
	if err := c.headers(id, append(r.pseudo(c.s.scheme), r.fields...), body == "" && len(r.trailers) == 0); err != nil {
		return answer{}, err
	}
	for len(body) > 0 {
		chunk := body[:min(len(body), 16<<10)]
		body = body[len(chunk):]
		if err := c.framer.WriteData(id, body == "" && len(r.trailers) == 0, []byte(chunk)); err != nil {
			return answer{}, err
		}
	}
	if len(r.trailers) > 0 {
		if err := c.headers(id, r.trailers, true); err != nil {
			return answer{}, err
		}
	}
	return c.receive(id)
}

// headers writes one block of fields, in as many frames as it needs.
func (c *h2) headers(id uint32, fields []field, last bool) error {
	c.block.Reset()
	for _, f := range fields {
		if err := c.encoder.WriteField(hpack.HeaderField{Name: lowered(f.name), Value: f.value}); err != nil {
			return err
		}
	}
	block := c.block.Bytes()
	first := block[:min(len(block), 16<<10)]
	block = block[len(first):]
	err := c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: first, EndStream: last, EndHeaders: len(block) == 0,
	})
	for err == nil && len(block) > 0 {
		part := block[:min(len(block), 16<<10)]
		block = block[len(part):]
		err = c.framer.WriteContinuation(id, len(block) == 0, part)
	}
	return err
}

// receive reads frames until the answer to stream id is complete.
func (c *h2) receive(id uint32) (a answer, err error) {
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return a, err
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = c.framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = c.framer.WritePing(true, f.Data)
			}
		case *http2.GoAwayFrame:
			return a, fmt.Errorf("the server goes away: %s", f.ErrCode)
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return a, errReset
			}
		case *http2.MetaHeadersFrame:
			a.take(f)
			if f.StreamEnded() && a.status >= 200 {
				return a, nil
			}
		case *http2.DataFrame:
			// What was read makes room in the window of the connection (RFC 9113 §6.9).
			if f.Length > 0 {
				err = errors.Join(c.framer.WriteWindowUpdate(0, f.Length), c.framer.WriteWindowUpdate(id, f.Length))
			}
			if f.StreamEnded() {
				return a, err
			}
		}
		if err != nil {
			return a, err
		}
	}
}

// take keeps the fields of a final answer.
func (a *answer) take(f *http2.MetaHeadersFrame) {
	var fields []field
	for _, h := range f.Fields {
		fields = append(fields, field{h.Name, h.Value})
	}
	a.set(fields)
}

func (a *answer) set(fields []field) {
	a.fields = fields
	for _, f := range fields {
		if f.name == ":status" {
			fmt.Sscan(f.value, &a.status)
		}
	}
}
