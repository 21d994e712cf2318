// SPDX-License-Identifier: Apache-2.0

package azuretable

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/azuretest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// The service as a test sees it: what an emulator does not do is played here.

var start = time.Date(2040, 2, 29, 23, 59, 30, 0, time.UTC)

func environment() (store.Env, *clock.Fake) {
	c := clock.NewFake(start)
	return store.Env{Now: c.Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)}, c
}

func someRecord(n int) store.Record {
	sum := sha256.Sum256(fmt.Append(nil, n))
	r := store.Record{
		Key:     store.Key{Site: "00112233aabbccdd", Kind: "grant", ID: hex.EncodeToString(sum[:])},
		Expires: start.Add(time.Hour), Value: []byte("value"), Person: sha256.Sum256([]byte("p")), Client: sha256.Sum256([]byte("c")),
	}
	_, _ = rand.Read(r.Version[:]) // never fails
	return r
}

// failed is the body of an error of the Table service.
func failed(status int, code string) *http.Response {
	return azuretest.Reply(status, fmt.Sprintf(`{"odata.error":{"code":%q,"message":{"lang":"en-US","value":"sentence"}}}`, code))
}

var empty = `{"value":[]}`

// opened returns a store over a fake; it is open before answer is first asked.
func opened(t *testing.T, c Config, answer func(r *http.Request, body string) *http.Response) (*Store, *azuretest.Fake) {
	t.Helper()
	fake := &azuretest.Fake{Answer: func(*http.Request, string) *http.Response { return azuretest.Reply(200, empty) }}
	o := azure.ClientOptions()
	o.Transport = fake
	env, _ := environment()
	s, err := open(t.Context(), c, env, o)
	if err != nil {
		t.Fatal(err)
	}
	fake.Answer = answer
	return s, fake
}

func some() Config {
	return Config{Endpoint: "https://some1.table.core.windows.net", Account: "some1", Key: secret.New(someKey), Table: "state"}
}

// always answers every request alike.
func always(answer func() *http.Response) func(*http.Request, string) *http.Response {
	return func(*http.Request, string) *http.Response { return answer() }
}

func definite(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrTooLarge)
}

// each calls every method.
func each(ctx context.Context, s *Store) map[string]error {
	r := someRecord(1)
	_, get := s.Get(ctx, r.Key)
	_, list := s.List(ctx, store.Query{Site: r.Site, Kind: r.Kind})
	_, person := s.List(ctx, store.Query{Site: r.Site, Kind: r.Kind, Person: r.Person})
	_, sweep := s.Sweep(ctx, start, 10)
	_, ping := s.Ping(ctx)
	return map[string]error{
		"Get": get, "Create": s.Create(ctx, r), "Update": s.Update(ctx, r, store.Version{1}), "Delete": s.Delete(ctx, r.Key, store.Version{1}),
		"List": list, "List by person": person, "Sweep": sweep, "Ping": ping,
	}
}

// Whatever is not an answer about the record is unknown: a "no" would log people out.
func TestEveryFailureIsUnknown(t *testing.T) {
	t.Parallel()
	page := func() *http.Response {
		r := azuretest.Reply(404, "<html>not here</html>")
		r.Header.Set("Content-Type", "text/html")
		return r
	}
	for _, test := range []struct {
		name   string
		config Config
		answer func() *http.Response
		want   string
	}{
		{"table gone", some(), func() *http.Response { return failed(404, "TableNotFound") }, "there is no table state: restart the server, which makes it, or run `az storage table create --name state`"},
		{"a page of something in between", some(), page, "this is no Table service"},
		{"wrong key", some(), func() *http.Response { return failed(403, "AuthenticationFailed") }, "copy the connection string from the Azure portal again"},
		{
			"signature without rights",
			Config{Endpoint: some().Endpoint, Signature: secret.New(someSignature), Table: "state"},
			func() *http.Response { return failed(403, "AuthorizationPermissionMismatch") }, "the signature does not allow",
		},
		{"network rules", some(), func() *http.Response { return failed(403, "AuthorizationFailure") }, "network rules"},
		{"busy", some(), func() *http.Response { return failed(503, "ServerBusy") }, "the service is busy"},
		{"throttled", some(), func() *http.Response { return failed(429, "TooManyRequests") }, "the service is busy"},
		{"broken", some(), func() *http.Response { return failed(500, "InternalError") }, "the service answered 500 InternalError"},
		{"conflict with something else", some(), func() *http.Response { return failed(409, "TableBeingDeleted") }, "the service answered 409 TableBeingDeleted"},
		{"another condition", some(), func() *http.Response { return failed(412, "Other") }, "the service answered 412 Other"},
		{"no answer", some(), func() *http.Response { return nil }, "the service cannot be reached"},
		{
			"Cosmos DB says the same of a table that is gone",
			Config{Endpoint: "https://some1.table.cosmos.azure.com:443", Account: "some1", Key: secret.New(someKey), Table: "state"},
			func() *http.Response { return failed(404, "ResourceNotFound") }, "there is no table state",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, _ := opened(t, test.config, always(test.answer))
			for what, err := range each(t.Context(), s) {
				if err == nil || definite(err) || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s: %v, want an unknown error with %q", what, err, test.want)
				}
				wantNoSecret(t, err)
			}
		})
	}
}

func wantNoSecret(t *testing.T, err error) {
	t.Helper()
	for _, planted := range []string{"c2lnbmF0dXJl", "sig=", someKey} {
		if err != nil && strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), planted) {
			t.Errorf("a secret is in the error %v", err)
		}
	}
}

// A damaged or foreign entity says nothing about the record that was asked for.
func TestSec_N03_WrongAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	other := string(recordEntity(someRecord(2)).marshal())
	for name, body := range map[string]string{
		"another record": other, "no JSON": "<html>", "nothing": "{}", "other types": `{"PartitionKey":1}`,
		"half a version": strings.Replace(other, `"Version":"`, `"Version":"AAAA`, 1),
	} {
		s, _ := opened(t, some(), func(*http.Request, string) *http.Response { return azuretest.Reply(200, body, `ETag: W/"1"`) })
		if _, err := s.Get(t.Context(), someRecord(1).Key); err == nil || definite(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A write whose answer was lost finds itself when it is sent again.
func TestSec_N04_LostAnswer(t *testing.T) {
	t.Parallel()
	r := someRecord(1)
	s, fake := opened(t, some(), func(req *http.Request, _ string) *http.Response {
		switch req.Method {
		case http.MethodPost:
			return failed(409, "EntityAlreadyExists")
		case http.MethodGet:
			return azuretest.Reply(200, string(recordEntity(r).marshal()), `ETag: W/"1"`)
		}
		return azuretest.Reply(204, "")
	})
	if err := s.Create(t.Context(), r); err != nil {
		t.Errorf("Create: %v", err)
	}
	if err := s.Update(t.Context(), r, store.Version{9}); err != nil {
		t.Errorf("Update: %v", err)
	}
	other := r
	other.Version = store.Version{7}
	if err := s.Create(t.Context(), other); !errors.Is(err, store.ErrExists) {
		t.Errorf("Create of another: %v", err)
	}
	if writes := slices.ContainsFunc(fake.Seen(), func(s string) bool { return strings.HasPrefix(s, "PUT") && strings.Contains(s, "'r_") }); writes {
		t.Error("a write that had been done was done again")
	}
}

// What leads to a record is there before it.
func TestIndexBeforeRecord(t *testing.T) {
	t.Parallel()
	s, fake := opened(t, some(), func(*http.Request, string) *http.Response { return azuretest.Reply(204, "") })
	before := len(fake.Seen())
	if err := s.Create(t.Context(), someRecord(1)); err != nil {
		t.Fatal(err)
	}
	var sorts []string
	for _, request := range fake.Seen()[before:] {
		if _, key, found := strings.Cut(request, "PartitionKey='"); found {
			sorts = append(sorts, key[:2])
		} else {
			sorts = append(sorts, strings.Fields(request)[0])
		}
	}
	if len(sorts) != 4 || sorts[0] != "x_" || sorts[3] != http.MethodPost || !slices.Contains(sorts, "p_") || !slices.Contains(sorts, "c_") {
		t.Errorf("the writes came in the order %v", sorts)
	}
}

// The service refuses requests for a moment when it moves a partition.
func TestThrottledForAMoment(t *testing.T) {
	t.Parallel()
	r, times := someRecord(1), 0
	s, _ := opened(t, some(), func(*http.Request, string) *http.Response {
		if times++; times < 3 {
			busy := failed(503, "ServerBusy")
			busy.Header.Set("Retry-After-Ms", "1")
			return busy
		}
		return azuretest.Reply(200, string(recordEntity(r).marshal()), `ETag: W/"1"`)
	})
	if got, err := s.Get(t.Context(), r.Key); err != nil || got.Version != r.Version {
		t.Errorf("Get: %v", err)
	}
	// A pause that is longer than the call can wait is the caller's business.
	s, fake := opened(t, some(), func(*http.Request, string) *http.Response {
		busy := failed(429, "TooManyRequests")
		busy.Header.Set("Retry-After", "30")
		return busy
	})
	before := len(fake.Seen())
	if _, err := s.Get(t.Context(), r.Key); err == nil || definite(err) || len(fake.Seen()) != before+1 {
		t.Errorf("Get: %v after %d requests", err, len(fake.Seen())-before)
	}
}

// Cosmos DB sorts nothing, and answers in pages of its own choice, empty ones among them.
func TestListOfUnsortedPages(t *testing.T) {
	t.Parallel()
	var bodies []string
	for n := range 9 {
		bodies = append(bodies, string(recordEntity(someRecord(n)).marshal()))
	}
	s, _ := opened(t, some(), func(req *http.Request, _ string) *http.Response {
		if !strings.Contains(req.URL.Query().Get("$filter"), "RowKey lt 'g'") {
			return azuretest.Reply(200, empty)
		}
		switch req.URL.Query().Get("NextPartitionKey") {
		case "":
			return azuretest.Reply(200, `{"value":[`+strings.Join(bodies[:5], ",")+`]}`, "x-ms-continuation-NextPartitionKey: 1", "x-ms-continuation-NextRowKey: 1")
		case "1":
			return azuretest.Reply(200, empty, "x-ms-continuation-NextPartitionKey: 2")
		}
		return azuretest.Reply(200, `{"value":[`+strings.Join(bodies[5:], ",")+`]}`)
	})
	page, err := s.List(t.Context(), store.Query{Site: someRecord(0).Site, Kind: "grant"})
	if err != nil || len(page.Records) != 9 || !slices.IsSortedFunc(page.Records, func(a, b store.Record) int { return strings.Compare(a.ID, b.ID) }) {
		t.Errorf("%d records, %v, in order: want 9", len(page.Records), err)
	}
}

// MUST keys be at most 1 KiB (Table Storage) and a row key at most 255 bytes (Cosmos DB),
// without / \ # ? and control characters; a property at most 64 KiB. Azurite takes more.
func TestLimitsOfBothServices(t *testing.T) {
	t.Parallel()
	r := someRecord(1)
	r.Kind, r.Value = store.Kind(strings.Repeat("k", 32)), make([]byte, store.MaxValue)
	keys := []string{recordPartition(r.Site, r.Kind, r.ID), noteRow(r.Key, time.Unix(1<<40, 0)), r.ID, notePartition("f")}
	for _, key := range append(keys, indexPartitions(r.Key, r.Person, r.Client)...) {
		if len(key) > 255 || strings.Trim(key, "0123456789abcdefghijklmnopqrstuvwxyz_") != "" || url.PathEscape(key) != key {
			t.Errorf("key %q", key)
		}
	}
	e := recordEntity(r)
	if len(e.Value) > 64<<10 || len(e.marshal()) > 1<<20 {
		t.Error("the entity of a large record is too large")
	}
	if want := base64.StdEncoding.EncodeToString(r.Version[:]); !strings.Contains(string(e.marshal()), `"Version":"`+want+`","Version@odata.type":"Edm.Binary"`) {
		t.Errorf("the version is not binary: %.200s", e.marshal())
	}
	s, fake := opened(t, some(), func(*http.Request, string) *http.Response { return nil })
	before := len(fake.Seen())
	for _, k := range []store.Key{
		{},
		{Site: r.Site, Kind: "grant", ID: strings.ToUpper(r.ID)},
		{Site: r.Site, Kind: "grant", ID: r.ID + "/"},
		{Site: r.Site, Kind: "a#b", ID: r.ID},
		{Site: "0011' or '1", Kind: "grant", ID: r.ID},
		{Site: r.Site, Kind: "gr_ant", ID: r.ID},
		{Site: r.Site, Kind: "grant", ID: "abc"},
	} {
		bad := r
		bad.Key, bad.Value = k, nil
		_, get := s.Get(t.Context(), k)
		for _, err := range []error{get, s.Create(t.Context(), bad), s.Update(t.Context(), bad, r.Version), s.Delete(t.Context(), k, r.Version)} {
			if err == nil || definite(err) {
				t.Errorf("%q: %v", k, err)
			}
		}
	}
	if _, err := s.List(t.Context(), store.Query{Site: r.Site, Kind: "grant' or ''='"}); err == nil {
		t.Error("a kind with a quote is listed")
	}
	if len(fake.Seen()) != before {
		t.Error("a malformed key was sent")
	}
}

// A listing may come without ETags; what is removed then is still what was seen.
func TestSweepOfNotesWithoutETag(t *testing.T) {
	t.Parallel()
	r := someRecord(1)
	note := entity{PartitionKey: notePartition(r.ID[:1]), RowKey: noteRow(r.Key, r.Expires)}
	var removed []string
	s, _ := opened(t, some(), func(req *http.Request, _ string) *http.Response {
		switch {
		case req.Method == http.MethodPost:
			return azuretest.Reply(201, "{}")
		case req.Method == http.MethodDelete:
			removed = append(removed, req.Header.Get("If-Match"))
			return azuretest.Reply(204, "")
		case strings.Contains(req.URL.Query().Get("$filter"), "'"+note.PartitionKey+"'"):
			return azuretest.Reply(200, `{"value":[`+string(note.marshal())+`]}`)
		case strings.Contains(req.URL.Path, note.RowKey):
			return azuretest.Reply(200, string(note.marshal()), `ETag: W/"9"`)
		case strings.Contains(req.URL.Path, "PartitionKey="):
			return failed(404, "ResourceNotFound")
		}
		return azuretest.Reply(200, empty)
	})
	if n, err := s.Sweep(t.Context(), r.Expires, 10); err != nil || n != 0 || !slices.Equal(removed, []string{`W/"9"`}) {
		t.Errorf("%d swept, %v, notes removed %q", n, err, removed)
	}
}

// A sweep that runs out of time says what it has done.
func TestSweepEndsInTime(t *testing.T) {
	t.Parallel()
	s, _ := opened(t, some(), func(req *http.Request, _ string) *http.Response {
		switch {
		case req.Method == http.MethodPost:
			return azuretest.Reply(201, "{}")
		case strings.Contains(req.URL.Path, "PartitionKey="):
			return failed(404, "ResourceNotFound")
		}
		<-req.Context().Done()
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), reserve+100*time.Millisecond)
	defer cancel()
	if n, err := s.Sweep(ctx, start, 10); err != nil || n != 0 || ctx.Err() != nil {
		t.Errorf("%d swept, %v, %v", n, err, ctx.Err())
	}
}
