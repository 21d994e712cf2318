// SPDX-License-Identifier: Apache-2.0

package cosmos

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/azuretest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// The service as a test sees it: what an emulator does not do is played here.

var start = time.Date(2040, 2, 29, 23, 59, 30, 0, time.UTC)

func environment() store.Env {
	return store.Env{Now: clock.NewFake(start).Now, Rand: rand.Reader, Log: slog.New(slog.DiscardHandler)}
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

// stored is a record as the service answers it.
func stored(r store.Record) string {
	return strings.TrimSuffix(string(marshal(r, start)), "}") + `,"_etag":"\"1\"","_ts":1}`
}

// fit is an account that may be used, with a region for reads beside that for writes.
const fit = `{"writableLocations":[{"name":"West","databaseAccountEndpoint":"https://some1-west.documents.azure.com:443/"}],
	"readableLocations":[{"name":"East","databaseAccountEndpoint":"https://some1-east.documents.azure.com:443/"},
	{"name":"West","databaseAccountEndpoint":"https://some1-west.documents.azure.com:443/"}],
	"enableMultipleWriteLocations":false,"userConsistencyPolicy":{"defaultConsistencyLevel":"BoundedStaleness"}}`

const fitContainer = `{"id":"c","partitionKey":{"paths":["/id"],"kind":"Hash","version":2},"defaultTtl":-1,"indexingPolicy":{"indexingMode":"consistent","automatic":true}}`

// service returns the answers of a fit account and container, and of another function for
// everything else.
func service(answer func(r *http.Request, body string) *http.Response) func(*http.Request, string) *http.Response {
	return func(r *http.Request, body string) *http.Response {
		switch {
		case isAccountRead(r):
			return azuretest.Reply(200, fit)
		case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/colls/c"):
			return azuretest.Reply(200, fitContainer, "Date: Wed, 21 Oct 2037 07:28:00 GMT")
		}
		return answer(r, body)
	}
}

func some() Config {
	c := config("https://some1.documents.azure.com")
	c.Database, c.Container = "d", "c"
	return c
}

func tryOpen(t *testing.T, answer func(r *http.Request, body string) *http.Response) (*Store, *azuretest.Fake, error) {
	t.Helper()
	fake := &azuretest.Fake{Answer: answer}
	o := azure.ClientOptions()
	o.Transport = fake
	s, err := open(t.Context(), some(), environment(), o)
	return s, fake, err
}

func opened(t *testing.T, answer func(r *http.Request, body string) *http.Response) (*Store, *azuretest.Fake) {
	t.Helper()
	s, fake, err := tryOpen(t, service(answer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, fake
}

func definite(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrTooLarge)
}

// each calls every method.
func each(ctx context.Context, s *Store) map[string]error {
	r := someRecord(1)
	_, get := s.Get(ctx, r.Key)
	_, list := s.List(ctx, store.Query{Site: r.Site, Kind: r.Kind})
	_, sweep := s.Sweep(ctx, start, 10)
	return map[string]error{
		"Get": get, "Create": s.Create(ctx, r), "Update": s.Update(ctx, r, store.Version{1}), "Delete": s.Delete(ctx, r.Key, store.Version{1}),
		"List": list, "Sweep": sweep,
	}
}

func failed(status int, code string, headers ...string) *http.Response {
	return azuretest.Reply(status, fmt.Sprintf(`{"code":%q,"message":"sentence"}`, code), append(headers, "x-ms-activity-id: 1")...)
}

// Whatever is not an answer about the record is unknown: a "no" would log people out.
func TestEveryFailureIsUnknown(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer func() *http.Response
		want   string
	}{
		{"container gone", func() *http.Response { return failed(404, "NotFound", "x-ms-substatus: 1003") }, "there is no container c in the database d: run `az cosmosdb sql database create"},
		{"replica behind", func() *http.Response { return failed(404, "NotFound", "x-ms-substatus: 1002") }, "the service answered 404"},
		{"a page of something in between", func() *http.Response { return azuretest.Reply(404, "<html>") }, "the service answered 404"},
		{"wrong key", func() *http.Response { return failed(401, "Unauthorized") }, "the key is wrong"},
		{"network rules", func() *http.Response { return failed(403, "Forbidden") }, "check its network rules"},
		{"throttled", func() *http.Response { return failed(429, "TooManyRequests", "x-ms-retry-after-ms: 60000") }, "the request units are used up"},
		{"write that must be repeated", func() *http.Response { return failed(449, "RetryWith") }, "the service answered 449"},
		{"partition moved", func() *http.Response { return failed(410, "Gone") }, "the service answered 410"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, _ := opened(t, func(*http.Request, string) *http.Response { return test.answer() })
			for what, err := range each(t.Context(), s) {
				if err == nil || definite(err) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), someKey) {
					t.Errorf("%s: %v, want an unknown error with %q", what, err, test.want)
				}
			}
		})
	}
}

// The emulator says nothing of substatus and activity; the service does.
func TestAbsent(t *testing.T) {
	t.Parallel()
	s, _ := opened(t, func(*http.Request, string) *http.Response { return failed(404, "NotFound", "x-ms-substatus: 0") })
	r := someRecord(1)
	if _, err := s.Get(t.Context(), r.Key); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if err := s.Update(t.Context(), r, r.Version); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Update: %v", err)
	}
	if err := s.Delete(t.Context(), r.Key, r.Version); err != nil {
		t.Errorf("Delete: %v", err)
	}
}

// The service removes an item by its time to live at any moment, also between the answer
// that it is there and the look at it. The emulator never removes one.
func TestRemovedByTheServiceMeanwhile(t *testing.T) {
	t.Parallel()
	posts := 0
	s, _ := opened(t, func(r *http.Request, _ string) *http.Response {
		if r.Method == http.MethodPost {
			if posts++; posts == 1 {
				return failed(409, "Conflict")
			}
			return azuretest.Reply(201, "", `ETag: "1"`)
		}
		return failed(404, "NotFound")
	})
	if err := s.Create(t.Context(), someRecord(1)); err != nil || posts != 2 {
		t.Errorf("Create: %v after %d attempts", err, posts)
	}
}

// A damaged or foreign item says nothing about the record that was asked for.
func TestSec_N03_WrongAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"another record": stored(someRecord(2)), "no JSON": "<html>", "nothing": "{}", "other types": `{"id":1}`,
		"no ETag":     string(marshal(someRecord(1), start)),
		"no version":  strings.Replace(stored(someRecord(1)), `"version"`, `"other"`, 1),
		"half person": strings.Replace(stored(someRecord(1)), `"person":"`, `"person":"aa`, 1),
	} {
		s, _ := opened(t, func(*http.Request, string) *http.Response { return azuretest.Reply(200, body) })
		if _, err := s.Get(t.Context(), someRecord(1).Key); err == nil || definite(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A write whose answer was lost finds itself when it is sent again.
func TestSec_N04_LostAnswer(t *testing.T) {
	t.Parallel()
	r := someRecord(1)
	s, fake := opened(t, func(req *http.Request, _ string) *http.Response {
		if req.Method == http.MethodPost {
			return failed(409, "Conflict")
		}
		return azuretest.Reply(200, stored(r))
	})
	if err := errors.Join(s.Create(t.Context(), r), s.Update(t.Context(), r, store.Version{9})); err != nil {
		t.Error(err)
	}
	other := r
	other.Version = store.Version{7}
	if err := s.Create(t.Context(), other); !errors.Is(err, store.ErrExists) {
		t.Errorf("Create of another: %v", err)
	}
	if slices.ContainsFunc(fake.Seen(), func(s string) bool { return strings.HasPrefix(s, "PUT") }) {
		t.Error("a write that had been done was done again")
	}
}

// Every write is conditional on the item that was seen, and says which partition. The
// emulator takes a wrong partition.
func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	r := someRecord(1)
	times := 0
	s, _ := opened(t, func(req *http.Request, body string) *http.Response {
		if want := fmt.Sprintf(`["%s"]`, itemID(r.Key)); req.Header.Get("x-ms-documentdb-partitionkey") != want {
			t.Errorf("%s: partition %s, want %s", req.Method, req.Header.Get("x-ms-documentdb-partitionkey"), want)
		}
		switch req.Method {
		case http.MethodGet:
			if times++; times == 1 {
				return failed(429, "TooManyRequests", "x-ms-retry-after-ms: 1")
			}
			return azuretest.Reply(200, stored(r))
		case http.MethodPut:
			if !strings.Contains(body, `"ttl":4200`) {
				t.Errorf("body is %s, want the time to live: an hour and ten minutes", body)
			}
		}
		if req.Header.Get("If-Match") != `"1"` {
			t.Errorf("%s is conditional on %q", req.Method, req.Header.Get("If-Match"))
		}
		return azuretest.Reply(200, "")
	})
	next := r
	next.Version = store.Version{7}
	if err := errors.Join(s.Update(t.Context(), next, r.Version), s.Delete(t.Context(), r.Key, r.Version)); err != nil {
		t.Error(err)
	}
}

// MUST a ttl be a positive integer of 32 bits; an id be at most 1,023 bytes, without
// / \ # ?; an item at most 2 MB. The emulator takes more.
func TestLimitsOfTheService(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		expires time.Time
		want    int32
	}{{start.Add(time.Minute), 660}, {start, 600}, {start.Add(-time.Hour), 1}, {start.AddDate(200, 0, 0), 1<<31 - 1}} {
		r := someRecord(1)
		r.Kind, r.Expires, r.Value = store.Kind(strings.Repeat("k", 32)), test.expires, make([]byte, store.MaxValue)
		var i item
		raw := marshal(r, start)
		if err := json.Unmarshal(raw, &i); err != nil || i.TTL != test.want {
			t.Errorf("expires %v: ttl %d, %v, want %d", test.expires, i.TTL, err, test.want)
		}
		if len(raw) > 2<<20 || len(i.ID) > 255 || strings.ContainsAny(i.ID, `/\#?`) {
			t.Errorf("item of %d bytes with the id %s", len(raw), i.ID)
		}
	}
	s, fake := opened(t, func(*http.Request, string) *http.Response { return nil })
	before := len(fake.Seen())
	r := someRecord(1)
	for _, k := range []store.Key{{}, {Site: r.Site, Kind: "a.b", ID: r.ID}, {Site: r.Site, Kind: "grant", ID: r.ID + "?"}} {
		_, get := s.Get(t.Context(), k)
		for _, err := range []error{get, s.Create(t.Context(), store.Record{Key: k}), s.Delete(t.Context(), k, r.Version)} {
			if err == nil || definite(err) {
				t.Errorf("%q: %v", k, err)
			}
		}
	}
	if len(fake.Seen()) != before {
		t.Error("a malformed key was sent")
	}
}

// The gateway sorts nothing, and answers in pages of its own choice, empty ones among
// them.
func TestListOfUnsortedPages(t *testing.T) {
	t.Parallel()
	var items []string
	for n := range 9 {
		items = append(items, stored(someRecord(n)))
	}
	s, _ := opened(t, func(req *http.Request, body string) *http.Response {
		for _, word := range []string{"ORDER BY", "TOP", "OFFSET", "DISTINCT"} {
			if strings.Contains(body, word) {
				t.Errorf("the gateway refuses %s", word)
			}
		}
		if !strings.Contains(body, `.g"`) {
			return azuretest.Reply(200, `{"Documents":[]}`)
		}
		switch req.Header.Get("x-ms-continuation") {
		case "":
			return azuretest.Reply(200, `{"Documents":[`+strings.Join(items[:5], ",")+`]}`, "x-ms-continuation: 1")
		case "1":
			return azuretest.Reply(200, `{"Documents":[]}`, "x-ms-continuation: 2")
		}
		return azuretest.Reply(200, `{"Documents":[`+strings.Join(items[5:], ",")+`]}`)
	})
	page, err := s.List(t.Context(), store.Query{Site: someRecord(0).Site, Kind: "grant"})
	if err != nil || len(page.Records) != 9 || !slices.IsSortedFunc(page.Records, func(a, b store.Record) int { return strings.Compare(a.ID, b.ID) }) {
		t.Errorf("%d records, %v, in order: want 9", len(page.Records), err)
	}
}
