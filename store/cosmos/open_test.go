// SPDX-License-Identifier: Apache-2.0

package cosmos

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/azuretest"
)

// An account that cannot keep the contract is refused before anything is written.
func TestUnfitAccount(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, from, to, want string }{
		{"multi-region writes", `"enableMultipleWriteLocations":false`, `"enableMultipleWriteLocations":true`, "it has multi-region writes"},
		{"session", "BoundedStaleness", "Session", `its default consistency is "Session"`},
		{"consistent prefix", "BoundedStaleness", "ConsistentPrefix", `its default consistency is "ConsistentPrefix"`},
		{"eventual", "BoundedStaleness", "Eventual", `its default consistency is "Eventual"`},
		{"not said", "userConsistencyPolicy", "other", `its default consistency is ""`},
	} {
		unfit := strings.Replace(fit, test.from, test.to, 1)
		_, fake, err := tryOpen(t, func(*http.Request, string) *http.Response { return azuretest.Reply(200, unfit) })
		if err == nil || !errors.Is(err, errUnfit) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if seen := fake.Seen(); len(seen) != 1 {
			t.Errorf("%s: requests %v", test.name, seen)
		}
	}
	for _, level := range []string{"Strong", "BoundedStaleness"} {
		s, _, err := tryOpen(t, func(r *http.Request, body string) *http.Response {
			if isAccountRead(r) {
				return azuretest.Reply(200, strings.Replace(fit, "BoundedStaleness", level, 1))
			}
			return service(nil)(r, body)
		})
		if err != nil {
			t.Fatalf("%s: %v", level, err)
		}
		_ = s.Close()
	}
}

// An account that becomes unfit is refused as soon as the library hears of it, as
// something unknown: nobody is logged out.
func TestAccountBecomesUnfit(t *testing.T) {
	t.Parallel()
	s, _ := opened(t, func(*http.Request, string) *http.Response { return azuretest.Reply(200, stored(someRecord(1))) })
	if _, err := s.Get(t.Context(), someRecord(1).Key); err != nil {
		t.Fatal(err)
	}
	state := *s.account.state.Load()
	state.MultipleWriteLocations = true
	state.verdict = state.judge()
	s.account.state.Store(&state)
	for what, err := range each(t.Context(), s) {
		if err == nil || definite(err) || !strings.Contains(err.Error(), "multi-region writes") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// With bounded staleness only the write region sees every write, so reads go there,
// whatever regions are nearer.
func TestReadsGoToTheWriteRegion(t *testing.T) {
	t.Parallel()
	s, fake := opened(t, func(*http.Request, string) *http.Response { return azuretest.Reply(200, stored(someRecord(1))) })
	if _, err := s.Get(t.Context(), someRecord(1).Key); err != nil {
		t.Fatal(err)
	}
	seen := fake.Seen()
	if last := seen[len(seen)-1]; !strings.HasPrefix(last, "GET some1-west.documents.azure.com") {
		t.Errorf("the read went to %s", last)
	}
	at, err := s.Ping(t.Context())
	if err != nil || !at.Equal(time.Date(2037, 10, 21, 7, 28, 0, 0, time.UTC)) {
		t.Errorf("Ping: %v, %v", at, err)
	}
	if loss := s.Loss(); !strings.Contains(loss, "bounded staleness") {
		t.Errorf("Loss: %s", loss)
	}
}

func TestOpenJudgesTheContainer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, from, to, want string }{
		{"fit", "", "", ""},
		{"partitioned otherwise", `"/id"`, `"/pk"`, "the container is partitioned by /pk and must be by /id: name another container, which is made, or run `az cosmosdb sql database create"},
		{"without index", `"consistent"`, `"none"`, `the indexing mode of the container is "none"`},
		{"lazy index", `"consistent"`, `"Lazy"`, `the indexing mode of the container is "Lazy"`},
		{"without time to live", `"defaultTtl":-1,`, "", ""},
	} {
		_, _, err := tryOpen(t, func(r *http.Request, _ string) *http.Response {
			if isAccountRead(r) {
				return azuretest.Reply(200, fit)
			}
			return azuretest.Reply(200, strings.Replace(fitContainer, test.from, test.to, 1))
		})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestOpenMakesTheContainer(t *testing.T) {
	t.Parallel()
	const body = `{"id":"c","partitionKey":{"kind":"Hash","paths":["/id"],"version":2},"defaultTtl":-1,"indexingPolicy":{"automatic":true,"indexingMode":"Consistent",` +
		`"includedPaths":[{"path":"/*"}],"excludedPaths":[{"path":"/value/?"},{"path":"/version/?"},{"path":"/ttl/?"},{"path":"/\"_etag\"/?"}]}}`
	for _, test := range []struct {
		name   string
		answer func() *http.Response
		want   string
	}{
		{"made", func() *http.Response { return azuretest.Reply(201, "{}") }, ""},
		{"by somebody else", func() *http.Response { return failed(409, "Conflict") }, ""},
		{"without the right", func() *http.Response { return failed(403, "Forbidden") }, "there is no container c in the database d, and the rights do not suffice to make it: run `az cosmosdb sql database create"},
	} {
		_, _, err := tryOpen(t, func(r *http.Request, sent string) *http.Response {
			switch {
			case isAccountRead(r):
				return azuretest.Reply(200, fit)
			case r.Method == http.MethodGet:
				return failed(404, "NotFound", "x-ms-substatus: 1003")
			case strings.HasSuffix(r.URL.Path, "/colls") && sent != body:
				t.Errorf("the container is made as\n%s, want\n%s", sent, body)
			}
			return test.answer()
		})
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

// What is wrong with the account is said at once, and once it is right, Open works.
func TestOpenFails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer func() *http.Response
		want   string
	}{
		{"wrong key", func() *http.Response { return failed(401, "Unauthorized") }, "the key is wrong"},
		{"no account", func() *http.Response { return azuretest.Reply(200, "<html>") }, "the account says nothing about itself"},
		{"unreachable", func() *http.Response { return nil }, "the service cannot be reached"},
	} {
		_, _, err := tryOpen(t, func(*http.Request, string) *http.Response { return test.answer() })
		if err == nil || definite(err) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), someKey) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	opened(t, func(*http.Request, string) *http.Response { return nil })
}

// Not parallel: it gives the machine an identity.
func TestManagedIdentity(t *testing.T) {
	azuretest.ManagedIdentity(t)
	c := some()
	c.Identity = azure.SystemAssigned
	o := azure.ClientOptions()
	o.Transport = &azuretest.Fake{Answer: service(func(r *http.Request, _ string) *http.Response {
		if got := r.Header.Get("Authorization"); !strings.Contains(got, "token") || !strings.Contains(got, "aad") {
			t.Errorf("Authorization is %q", got)
		}
		return failed(403, "Forbidden")
	})}
	s, err := open(t.Context(), c, environment(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), someRecord(1).Key); err == nil || !strings.Contains(err.Error(), `--role-definition-name "Cosmos DB Built-in Data Contributor"`) {
		t.Errorf("without the role: %v", err)
	}
}
