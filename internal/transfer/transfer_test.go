// SPDX-License-Identifier: Apache-2.0

package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/transfer"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/memory"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest/faulty"
)

var (
	now   = time.Unix(1_800_000_000, 0).UTC()
	kinds = []store.Kind{"keyring", "client", "grant"}
	sites = []transfer.Site{{Issuer: "https://one.example", ID: "0011223344556677"}, {Issuer: "https://two.example", ID: "8899aabbccddeeff"}}
)

func newStore() store.Store {
	return memory.New(memory.Options{}, store.Env{Now: clock.NewFake(now).Now})
}

func record(site int, kind store.Kind, n byte) store.Record {
	return store.Record{
		Key:     store.Key{Site: sites[site].ID, Kind: kind, ID: fmt.Sprintf("%064x", n)},
		Version: store.Version{n, 1}, Person: store.Index{n}, Client: store.Index{0, n},
		Expires: now.Add(time.Duration(n) * time.Hour), Value: []byte{n, 0xff, '\n', '"'},
	}
}

func wantNil(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func filled(t *testing.T) store.Store {
	t.Helper()
	s := newStore()
	for site := range sites {
		for _, kind := range kinds {
			for n := range byte(3) {
				wantNil(t, s.Create(t.Context(), record(site, kind, n+1)))
			}
		}
	}
	bare := record(0, "grant", 9)
	bare.Person, bare.Client, bare.Value = store.Index{}, store.Index{}, nil
	wantNil(t, s.Create(t.Context(), bare))
	return s
}

func export(t *testing.T, s store.Store, inUse bool) []byte {
	t.Helper()
	var out bytes.Buffer
	_, err := transfer.Export{Store: s, Sites: sites, Kinds: kinds, Now: now, InUse: inUse}.Write(t.Context(), &out)
	wantNil(t, err)
	return out.Bytes()
}

func importInto(t *testing.T, s store.Store, stream []byte, at time.Time) (transfer.Result, error) {
	t.Helper()
	m, err := transfer.Verify(bytes.NewReader(stream), kinds)
	if err != nil {
		return transfer.Result{}, err
	}
	return transfer.Import{Store: s, Manifest: m, Now: at}.Read(t.Context(), bytes.NewReader(stream))
}

// What went in comes out, byte for byte: the export of the copy is the export.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	stream := export(t, filled(t), false)
	copied := newStore()
	for range 2 { // again after an interruption
		r, err := importInto(t, copied, stream, now)
		if err != nil || r != (transfer.Result{Imported: 19}) {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	if again := export(t, copied, false); !bytes.Equal(again, stream) {
		t.Errorf("the copy has\n%s\nnot\n%s", again, stream)
	}
	if r, err := importInto(t, newStore(), stream, now.Add(2*time.Hour)); err != nil || r != (transfer.Result{Imported: 7, Expired: 12}) {
		t.Errorf("two hours later: %+v, %v", r, err)
	}
}

// changing is a store that changes when it has been listed for the first time.
type changing struct {
	store.Store
	change func()
}

func (c *changing) List(ctx context.Context, q store.Query) (store.Page, error) {
	page, err := c.Store.List(ctx, q)
	if q.Site == sites[1].ID && q.Kind == "grant" && c.change != nil {
		c.change()
		c.change = nil
	}
	return page, err
}

// What changes during the first pass is in the stream as it is at the second.
func TestExportOfAStoreInUse(t *testing.T) {
	t.Parallel()
	s := filled(t)
	changed, added := record(0, "grant", 1), record(0, "client", 77)
	changed.Version, changed.Value = store.Version{0xee}, []byte("changed")
	stream := export(t, &changing{s, func() {
		wantNil(t, s.Update(t.Context(), changed, store.Version{1, 1}))
		wantNil(t, s.Create(t.Context(), added))
	}}, true)
	copied := newStore()
	if r, err := importInto(t, copied, stream, now); err != nil || r.Imported != 20 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, want := range []store.Record{changed, added} {
		if got, err := copied.Get(t.Context(), want.Key); err != nil || got.Version != want.Version {
			t.Errorf("%v: version %x, %v", want.Key, got.Version, err)
		}
	}
}

// No byte of a stream can be changed, added or taken away.
func TestSec_N08_ChangedStreamIsRefused(t *testing.T) {
	t.Parallel()
	stream := export(t, filled(t), false)
	into := newStore()
	try := func(what string, changed []byte) {
		t.Helper()
		if _, err := importInto(t, into, changed, now); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	for i := 0; i < len(stream); i++ {
		if i > 900 && i < len(stream)-150 {
			i += 10 // the lines in the middle are alike
		}
		changed := bytes.Clone(stream)
		changed[i] ^= 1
		try(fmt.Sprintf("a stream with another byte %d", i), changed)
	}
	for i := 0; i < len(stream)-1; i += 11 {
		try(fmt.Sprintf("a stream cut at %d", i), stream[:i])
	}
	try("a longer stream", append(bytes.Clone(stream), "{}\n"...))
	lines := strings.SplitAfter(string(stream), "\n")
	try("a stream without a record", []byte(strings.Join(append(lines[:3:3], lines[4:]...), "")))
	try("a stream with a record twice", []byte(strings.Join(append(lines[:4:4], lines[3:]...), "")))
	if page, err := into.List(t.Context(), store.Query{Site: sites[0].ID, Kind: "keyring"}); err != nil || len(page.Records) > 0 {
		t.Errorf("%d records were imported, %v", len(page.Records), err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	for name, stream := range map[string]string{
		"nothing":        "",
		"something else": "hello\n",
		"other JSON":     "{}\n",
		"newer version":  `{"mcp_oauth_export":2,"created":1,"sites":[]}` + "\n",
	} {
		if _, err := transfer.Verify(strings.NewReader(stream), kinds); err == nil {
			t.Errorf("%s is a stream", name)
		}
	}
	if _, err := transfer.Verify(bytes.NewReader(export(t, filled(t), false)), kinds[:2]); err == nil || !strings.Contains(err.Error(), `"grant"`) {
		t.Errorf("an unknown kind: %v", err)
	}
}

// A store with records of its own is refused at the first of them, and an outage is
// neither a refusal nor the end.
func TestImportErrors(t *testing.T) {
	t.Parallel()
	stream := export(t, filled(t), false)
	occupied := newStore()
	other := record(0, "keyring", 1)
	other.Version = store.Version{0xee}
	wantNil(t, occupied.Create(t.Context(), other))
	if r, err := importInto(t, occupied, stream, now); !errors.Is(err, transfer.ErrOccupied) || r.Imported != 0 {
		t.Errorf("into a store in use: %+v, %v", r, err)
	}
	f := faulty.New(newStore())
	f.Set(faulty.None, faulty.None, faulty.After)
	if r, err := importInto(t, f, stream, now); !errors.Is(err, faulty.ErrBroken) || r.Imported != 1 {
		t.Errorf("with an outage: %+v, %v", r, err)
	}
	if r, err := importInto(t, f, stream, now); err != nil || r.Imported != 19 {
		t.Errorf("again: %+v, %v", r, err)
	}
	f = faulty.New(filled(t))
	f.Set(faulty.None, faulty.None, faulty.Before)
	if _, err := (transfer.Export{Store: f, Sites: sites, Kinds: kinds, Now: now}).Write(t.Context(), new(bytes.Buffer)); !errors.Is(err, faulty.ErrBroken) {
		t.Errorf("export with an outage: %v", err)
	}
}
