// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Export is a copy of a store into a stream.
type Export struct {
	Store store.Store
	Sites []Site
	// Kinds are the kinds of records that there can be, in the order of the stream.
	Kinds []store.Kind
	Now   time.Time
	// InUse says that others write to the store meanwhile. Then everything is listed a
	// second time for what changed. What changes after that is not in the stream, so an
	// export of a store in use is a backup; to move, traffic has to stop.
	InUse bool
}

// Write writes the stream and returns how many records are in it. Without an error the
// stream is complete.
func (e Export) Write(ctx context.Context, w io.Writer) (int, error) {
	s := newSink(w)
	s.line(header{Format: formatVersion, Created: e.Now.Unix(), Sites: e.Sites})
	seen := make(map[uint64]uint64)
	passes := 1
	if e.InUse {
		passes = 2
	}
	n := 0
	for range passes {
		for _, site := range e.Sites {
			for _, kind := range e.Kinds {
				added, err := e.place(ctx, s, store.Query{Site: site.ID, Kind: kind}, seen)
				if err != nil {
					return 0, fmt.Errorf("exporting %s of %s: %w", kind, site.Issuer, err)
				}
				n += added
			}
		}
	}
	s.line(trailer{Records: n, SHA256: hex.EncodeToString(s.sum.Sum(nil))})
	return n, s.flush()
}

// place writes the records of one site and kind that were not seen in the same version.
func (e Export) place(ctx context.Context, s *sink, q store.Query, seen map[uint64]uint64) (int, error) {
	n := 0
	for {
		page, err := e.Store.List(ctx, q)
		if err != nil {
			return n, err
		}
		for _, r := range page.Records {
			key, version := digest(r.Key), binary.BigEndian.Uint64(r.Version[:])
			if old, ok := seen[key]; ok && old == version {
				continue
			}
			seen[key] = version
			s.line(toLine(r))
			n++
		}
		if s.err != nil || page.Next == "" {
			return n, s.err
		}
		q.After = page.Next
	}
}

// digest stands for a key in a map of all keys of a store. Sixty-four bits are enough: a
// million keys collide once in ten million stores.
func digest(k store.Key) uint64 {
	sum := sha256.Sum256([]byte(k.Site + "\x00" + string(k.Kind) + "\x00" + k.ID))
	return binary.BigEndian.Uint64(sum[:])
}

// sink writes lines and sums them up. The first error stays.
type sink struct {
	out *bufio.Writer
	sum hash.Hash
	err error
}

func newSink(w io.Writer) *sink { return &sink{out: bufio.NewWriterSize(w, 64<<10), sum: sha256.New()} }

func (s *sink) line(v any) {
	if s.err != nil {
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		s.err = err
		return
	}
	b = append(b, '\n')
	_, _ = s.sum.Write(b) // never fails
	_, s.err = s.out.Write(b)
}

func (s *sink) flush() error {
	if s.err != nil {
		return s.err
	}
	return s.out.Flush()
}
