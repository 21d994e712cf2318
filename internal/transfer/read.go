// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// Manifest is what a stream holds, once it was read to its end and found whole.
type Manifest struct {
	Sites []Site
	// Counts are the records by site and kind, each key counted once.
	Counts map[Place]int
	// Keyrings are the records of the first kind, which say whether a key fits.
	Keyrings []store.Record
	// versions are those in which the keys came last.
	versions map[uint64]store.Version
}

// Place is a site and a kind.
type Place struct {
	Site string
	Kind store.Kind
}

// Total is the number of records.
func (m *Manifest) Total() int { return len(m.versions) }

// errNoEnd says that a stream was cut off.
var errNoEnd = errors.New("the stream ends too early: its last line, with the checksum, is missing")

// Verify reads a stream to its end. It refuses one that was cut off or changed, one of a
// newer version, and kinds other than the given ones.
func Verify(r io.Reader, kinds []store.Kind) (*Manifest, error) {
	m := &Manifest{Counts: map[Place]int{}, versions: map[uint64]store.Version{}}
	var foreign error
	err := read(r, func(h header) { m.Sites = h.Sites }, func(rec store.Record) {
		known := slices.ContainsFunc(m.Sites, func(s Site) bool { return s.ID == rec.Site })
		if !known || !slices.Contains(kinds, rec.Kind) {
			foreign = fmt.Errorf("a record of the kind %q is not one that this version knows", rec.Kind)
		}
		key := digest(rec.Key)
		if _, again := m.versions[key]; !again {
			m.Counts[Place{rec.Site, rec.Kind}]++
		}
		m.versions[key] = rec.Version
		if rec.Kind == kinds[0] {
			m.Keyrings = append(slices.DeleteFunc(m.Keyrings, func(old store.Record) bool { return old.Key == rec.Key }), rec)
		}
	})
	if err == nil {
		err = foreign
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Check reads a stream to its end and tells whether it is whole.
func Check(r io.Reader) error { return read(r, func(header) {}, func(store.Record) {}) }

// read goes through a stream once. What it hands out is not to be trusted before it
// returns nil.
func read(r io.Reader, head func(header), each func(store.Record)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	sum := sha256.New()
	next := func() ([]byte, error) {
		if lines.Scan() {
			return lines.Bytes(), nil
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("reading the stream: %w", err)
		}
		return nil, errNoEnd
	}
	first, err := next()
	if err != nil {
		return err
	}
	var h header
	switch err := strict(first, &h); {
	case err != nil || h.Format < 1:
		return errors.New("the stream is no export of mcp_oauth")
	case h.Format > formatVersion:
		return fmt.Errorf("the stream has the format %d, which a newer version of mcp_oauth wrote", h.Format)
	}
	head(h)
	for n := 0; ; n++ {
		_, _ = sum.Write(lines.Bytes()) // never fails
		_, _ = sum.Write([]byte{'\n'})
		text, err := next()
		if err != nil {
			return err
		}
		if bytes.HasPrefix(text, []byte(`{"records":`)) {
			if err := checkEnd(text, n, hex.EncodeToString(sum.Sum(nil))); err != nil {
				return err
			}
			if lines.Scan() {
				return errors.New("the stream goes on after its last line")
			}
			return nil
		}
		rec, err := parseLine(text)
		if err != nil && !lines.Scan() {
			return errNoEnd
		}
		if err != nil {
			return fmt.Errorf("record %d of the stream: %w", n+1, err)
		}
		each(rec)
	}
}

func checkEnd(text []byte, records int, sum string) error {
	var end trailer
	if err := strict(text, &end); err != nil {
		return fmt.Errorf("the last line of the stream: %w", err)
	}
	if end.Records != records || end.SHA256 != sum {
		return errors.New("the stream was changed or damaged: its checksum does not fit; export again")
	}
	return nil
}

func parseLine(text []byte) (store.Record, error) {
	var l line
	if err := strict(text, &l); err != nil {
		return store.Record{}, err
	}
	return l.record()
}

// strict decodes the one JSON value of a line and refuses members that it does not know.
func strict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the value")
	}
	return nil
}
