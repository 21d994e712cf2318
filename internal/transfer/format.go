// SPDX-License-Identifier: Apache-2.0

// Package transfer copies the records of a store into a stream and out of it again, so
// that they move from any backend to any other. It opens nothing that is sealed: values,
// versions and index hashes stay as they are, and so do everybody's tokens.
//
// A stream is lines of JSON:
//
//	{"mcp_oauth_export":1,"created":<unix>,"sites":[{"issuer":"…","site":"<16 hex>"}]}
//	{"site":"…","kind":"grant","id":"<64 hex>","version":"<32 hex>","person":"<64 hex>","client":"<64 hex>","expires":<unix>,"value":"<base64>"}
//	{"records":<number of lines like the one above>,"sha256":"<hex of the SHA-256 of everything before this line>"}
//
// person and client are absent where the record has none. A key that comes twice counts
// as it came last: the record changed while the stream was written.
package transfer

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// formatVersion is the version of the stream; a higher one is refused.
const formatVersion = 1

// maxLine bounds a line: the largest value in base64, with room for the rest.
const maxLine = store.MaxValue*4/3 + 4<<10

// Site is an issuer whose records are in a stream.
type Site struct {
	Issuer string `json:"issuer"`
	// ID is Key.Site of its records.
	ID string `json:"site"`
}

type header struct {
	Format  int    `json:"mcp_oauth_export"`
	Created int64  `json:"created"`
	Sites   []Site `json:"sites"`
}

type trailer struct {
	Records int    `json:"records"`
	SHA256  string `json:"sha256"`
}

type line struct {
	Site    string     `json:"site"`
	Kind    store.Kind `json:"kind"`
	ID      string     `json:"id"`
	Version string     `json:"version"`
	Person  string     `json:"person,omitempty"`
	Client  string     `json:"client,omitempty"`
	Expires int64      `json:"expires"`
	Value   []byte     `json:"value"`
}

func toLine(r store.Record) line {
	return line{
		Site: r.Site, Kind: r.Kind, ID: r.ID, Version: hex.EncodeToString(r.Version[:]),
		Person: indexText(r.Person), Client: indexText(r.Client), Expires: r.Expires.Unix(), Value: r.Value,
	}
}

func indexText(x store.Index) string {
	if x == (store.Index{}) {
		return ""
	}
	return hex.EncodeToString(x[:])
}

func (l line) record() (store.Record, error) {
	r := store.Record{
		Key:     store.Key{Site: l.Site, Kind: l.Kind, ID: l.ID},
		Expires: time.Unix(l.Expires, 0).UTC(), Value: l.Value,
	}
	var id [32]byte
	err := errors.Join(fromHex(id[:], l.ID), fromHex(r.Version[:], l.Version))
	if l.Person != "" {
		err = errors.Join(err, fromHex(r.Person[:], l.Person))
	}
	if l.Client != "" {
		err = errors.Join(err, fromHex(r.Client[:], l.Client))
	}
	switch {
	case err != nil:
		return r, err
	case l.Expires <= 0:
		return r, errors.New("a record has no expiry")
	case len(l.Value) > store.MaxValue:
		return r, store.ErrTooLarge
	}
	return r, nil
}

// fromHex decodes lower-case hex that fills to.
func fromHex(to []byte, text string) error {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(to) || hex.EncodeToString(b) != text {
		return fmt.Errorf("%q is not %d bytes in lower-case hex", text, len(to))
	}
	copy(to, b)
	return nil
}
