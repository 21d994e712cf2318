// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
)

// h3 is HTTP/3 frame by frame over QUIC (RFC 9114 §7).
type h3 struct {
	s    *site
	conn *quic.Conn
}

// Frames and streams (RFC 9114 §7.2, §6.2.1).
const (
	h3Data, h3Headers, h3Settings = 0x0, 0x1, 0x4
	h3ControlStream               = 0x0
)

func (c *h3) close() {
	if c.conn != nil {
		_ = c.conn.CloseWithError(0x100, "")
		c.conn = nil
	}
}

func (c *h3) open(ctx context.Context) error {
	if c.conn != nil && c.conn.Context().Err() == nil {
		return nil
	}
	conn, err := quic.DialAddr(ctx, fmt.Sprintf("127.0.0.1:%d", c.s.port), clientTLS("h3"), &quic.Config{})
	if err != nil {
		return err
	}
	control, err := conn.OpenUniStream()
	if err != nil {
		return err
	}
	c.conn = conn
	_, err = control.Write([]byte{h3ControlStream, h3Settings, 0})
	return err
}

func (c *h3) send(r *request) (answer, error) {
	ctx, cancel := context.WithTimeout(c.s.w.ctx, patience)
	defer cancel()
	fresh := c.conn == nil
	a, err := c.exchange(ctx, r)
	if err != nil && !fresh && a.status == 0 && !isStreamError(err) && ctx.Err() == nil {
		c.close()
		a, err = c.exchange(ctx, r)
	}
	if err != nil && ctx.Err() == nil && !isTimeout(err) {
		err = nil
	}
	return a, err
}

func isStreamError(err error) bool {
	var s *quic.StreamError
	return errors.As(err, &s)
}

func (c *h3) exchange(ctx context.Context, r *request) (answer, error) {
	if err := c.open(ctx); err != nil {
		return answer{}, err
	}
	stream, err := c.conn.OpenStreamSync(ctx)
	if err != nil {
		return answer{}, err
	}
	_ = stream.SetDeadline(time.Now().Add(patience))
	defer stream.CancelRead(0x10c)
	message := appendFields(nil, append(r.pseudo("https"), r.fields...))
	if r.body != "" {
		message = appendFrame(message, h3Data, []byte(r.body))
	}
	if len(r.trailers) > 0 {
		message = appendFields(message, r.trailers)
	}
	// The server may refuse before it has read everything.
	_, werr := stream.Write(message)
	_ = stream.Close()
	a, err := receiveH3(bufio.NewReader(stream))
	return a, errors.Join(err, werr)
}

func appendFrame(to []byte, kind uint64, payload []byte) []byte {
	to = quicvarint.Append(to, kind)
	to = quicvarint.Append(to, uint64(len(payload)))
	return append(to, payload...)
}

func appendFields(to []byte, fields []field) []byte {
	var block bytes.Buffer
	e := qpack.NewEncoder(&block)
	for _, f := range fields {
		// A bytes.Buffer takes everything.
		_ = e.WriteField(qpack.HeaderField{Name: lowered(f.name), Value: f.value})
	}
	return appendFrame(to, h3Headers, block.Bytes())
}

// receiveH3 reads frames up to the end of the stream.
func receiveH3(r *bufio.Reader) (a answer, err error) {
	for {
		kind, err := quicvarint.Read(r)
		if err == io.EOF {
			return a, nil
		}
		if err != nil {
			return a, err
		}
		length, err := quicvarint.Read(r)
		if err != nil {
			return a, err
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(r, payload); err != nil {
			return a, err
		}
		if kind != h3Headers || a.status >= 200 {
			continue
		}
		fields, err := decodeFields(payload)
		if err != nil {
			return a, err
		}
		a.set(fields)
	}
}

func decodeFields(block []byte) (fields []field, err error) {
	next := qpack.NewDecoder().Decode(block)
	for {
		f, err := next()
		if err == io.EOF {
			return fields, nil
		}
		if err != nil {
			return nil, err
		}
		fields = append(fields, field{f.Name, f.Value})
	}
}
