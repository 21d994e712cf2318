// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

func sample(person, client bool) store.Record {
	r := store.Record{
		Key:     store.Key{Site: "0011223344556677", Kind: "grant", ID: strings.Repeat("ab", 32)},
		Expires: time.Unix(1_800_000_000, 0).UTC(),
		Value:   []byte("sealed"),
	}
	copy(r.Version[:], "0123456789abcdef")
	if person {
		r.Person = store.Index(bytes.Repeat([]byte{0xaa}, 32))
	}
	if client {
		r.Client = store.Index(bytes.Repeat([]byte{0xbb}, 32))
	}
	return r
}

// Files of every version that was released have these bytes.
func TestRecordGolden(t *testing.T) {
	t.Parallel()
	person, client := strings.Repeat("aa", 32), strings.Repeat("bb", 32)
	rest := "000000006b49d200" + hex.EncodeToString([]byte("0123456789abcdef"))
	value := hex.EncodeToString([]byte("sealed"))
	for _, test := range []struct {
		record store.Record
		want   string
	}{
		{sample(false, false), "0100" + rest + value},
		{sample(true, false), "0101" + rest + person + value},
		{sample(false, true), "0102" + rest + client + value},
		{sample(true, true), "0103" + rest + person + client + value},
	} {
		if got := hex.EncodeToString(encode(test.record)); got != test.want {
			t.Errorf("encoded:\n%s, want\n%s", got, test.want)
		}
		raw, _ := hex.DecodeString(test.want)
		got, err := decode(test.record.Key, raw)
		if err != nil || !reflect.DeepEqual(got, test.record) {
			t.Errorf("decoded: %v, %v", got, err)
		}
	}
}

func TestKeyGolden(t *testing.T) {
	t.Parallel()
	r := sample(true, false)
	place := "0011223344556677\x00grant\x00"
	for got, want := range map[string]string{
		string(recordKey(r.Key)):          place + r.ID,
		string(indexKey(r.Key, r.Person)): place + string(r.Person[:]) + r.ID,
		string(expiryKey(r)):              "\x00\x00\x00\x00\x6b\x49\xd2\x00" + place + r.ID,
	} {
		if got != want {
			t.Errorf("key %q, want %q", got, want)
		}
	}
	at, k, err := splitExpiryKey(expiryKey(r))
	if err != nil || k != r.Key || !at.Equal(r.Expires) {
		t.Errorf("expiry key read as %v %v %v", at, k, err)
	}
}

func TestDamagedRecord(t *testing.T) {
	t.Parallel()
	whole := encode(sample(true, true))
	for name, raw := range map[string][]byte{
		"empty":         {},
		"short header":  whole[:headerSize-1],
		"short person":  whole[:headerSize+31],
		"short client":  whole[:headerSize+63],
		"format zero":   append([]byte{0}, whole[1:]...),
		"unknown flags": append([]byte{1, 4}, whole[2:]...),
	} {
		if _, err := decode(store.Key{}, raw); !errors.Is(err, errDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := decode(store.Key{}, append([]byte{2}, whole[1:]...)); !errors.Is(err, errNewer) {
		t.Errorf("newer format: %v", err)
	}
}

func TestMalformedKeys(t *testing.T) {
	t.Parallel()
	for _, k := range []store.Key{
		{},
		{Site: "s", Kind: "k"},
		{Site: "s", ID: "i"},
		{Kind: "k", ID: "i"},
		{Site: "s\x00", Kind: "k", ID: "i"},
		{Site: "s", Kind: "\x00k", ID: "i"},
	} {
		if err := checkKey(k); err == nil || definite(err) {
			t.Errorf("key %q: %v", k, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(sample(true, true)))
	f.Add(encode(sample(false, true)))
	f.Add([]byte{1, 3})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := decode(sample(false, false).Key, raw)
		if err != nil {
			return
		}
		if again, err := decode(r.Key, encode(r)); err != nil || !reflect.DeepEqual(r, again) {
			t.Errorf("%x reads as %v, and that as %v, %v", raw, r, again, err)
		}
	})
}
