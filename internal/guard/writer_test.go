// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
)

func do(t *testing.T, address, method string, headers ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+"/mcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+good)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func TestSec_J08_TheBackendsChallenge(t *testing.T) {
	t.Parallel()
	b := setup()
	address, _ := front(t, b, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("WWW-Authenticate", `Bearer resource_metadata="https://evil.example/"`)
		h.Set("X-Secret", "stack trace")
		h.Set("Content-Encoding", "br")
		h.Set("Etag", `"1"`)
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, strings.Repeat("backend's own words ", 1000))
	})
	for _, method := range []string{"POST", "GET", "HEAD"} {
		res := do(t, address, method, "Origin", "http://localhost:1")
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusBadGateway {
			t.Fatal(res.StatusCode, err)
		}
		for _, name := range []string{"WWW-Authenticate", "X-Secret", "Content-Encoding", "Etag"} {
			if v := res.Header.Get(name); v != "" {
				t.Errorf("%s: %s: %q", method, name, v)
			}
		}
		if res.Header.Get("Access-Control-Allow-Origin") != "http://localhost:1" || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", method, res.Header)
		}
		if method == "HEAD" {
			continue
		}
		var answer struct{ Error, Ref string }
		if err := json.Unmarshal(body, &answer); err != nil || answer.Error != "server_error" || answer.Ref != "ref1" {
			t.Errorf("%s: %s, %v", method, body, err)
		}
	}
	if len(b.events) != 3 || b.events[0].Kind != event.BackendRefused || b.events[0].Ref != "ref1" || b.events[0].Grant != "01000000000000000000000000000000" {
		t.Errorf("%+v", b.events)
	}
}

func TestSec_J08_OtherStatusesKeepTheirBody(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 202, 403, 404, 407, 500} {
		address, _ := front(t, setup(), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.Header().Set("Proxy-Authenticate", "Basic")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "body")
		})
		res := do(t, address, "POST")
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != status || string(body) != "body" {
			t.Errorf("%d: %d %q %v", status, res.StatusCode, body, err)
		}
		if res.Header.Get("WWW-Authenticate")+res.Header.Get("Proxy-Authenticate") != "" {
			t.Errorf("%d: %v", status, res.Header)
		}
	}
}

func TestSec_J19_AnswersAreNotShared(t *testing.T) {
	t.Parallel()
	for backend, want := range map[string]string{"": "private", "no-store": "no-store", "max-age=5": "max-age=5"} {
		address, _ := front(t, setup(), func(w http.ResponseWriter, _ *http.Request) {
			if backend != "" {
				w.Header().Set("Cache-Control", backend)
			}
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.Header().Set("Access-Control-Allow-Credentials", "true")
			w.Header().Set("Access-Control-Expose-Headers", "X")
			_, _ = io.WriteString(w, "{}") // no WriteHeader: the implicit 200 counts too
		})
		res := do(t, address, "GET", "Origin", "https://app.example")
		h := res.Header
		if h.Get("Cache-Control") != want || strings.Join(h["Vary"], ", ") != "Origin, Authorization" {
			t.Errorf("%q: %v", backend, h)
		}
		if h.Get("Access-Control-Allow-Origin") != "https://app.example" || h.Get("Access-Control-Allow-Credentials") != "" || h.Get("Access-Control-Expose-Headers") != exposedHeaders {
			t.Errorf("%q: %v", backend, h)
		}
		if v := do(t, address, "GET").Header.Get("Access-Control-Allow-Origin"); v != "" {
			t.Errorf("without Origin: %q", v)
		}
	}
}

func TestStreamsArriveAtOnceAndEndWithTheRegistry(t *testing.T) {
	t.Parallel()
	b := setup()
	more, cut := make(chan string), make(chan struct{})
	address, _ := front(t, b, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case s := <-more:
				_, _ = io.WriteString(w, "data: "+s+"\n\n")
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				close(cut)
				return
			}
		}
	})
	res := do(t, address, "GET")
	lines := bufio.NewReader(res.Body)
	for _, s := range []string{"one", "two"} {
		more <- s
		if line, err := lines.ReadString('\n'); err != nil || line != "data: "+s+"\n" {
			t.Fatalf("%q, %v", line, err)
		}
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.Streams().Count([32]byte{1}); n != 1 {
		t.Errorf("%d streams", n)
	}
	b.Streams().End([32]byte{2})
	more <- "three"
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal("another grant's end cut the stream", err)
	}
	b.Streams().EndAll()
	if _, err := io.ReadAll(lines); err == nil {
		// The proxy cuts the connection: a stream that was cut is not complete.
		t.Error("the stream ended as if it were complete")
	}
	<-cut
}

func TestStreamLeavesTheRegistry(t *testing.T) {
	t.Parallel()
	b := setup()
	for _, c := range []struct {
		status    int
		mediaType string
	}{{200, "Text/Event-Stream"}, {200, "text/event-stream ; charset=utf-8"}, {101, ""}} {
		pass := b.admit(t, good)
		w, _ := pass.Wrap(httptest.NewRecorder(), b.request(good).HTTP, nil)
		w.Header().Set("Content-Type", c.mediaType)
		w.WriteHeader(c.status)
		if n := b.Streams().Count([32]byte{1}); n != 1 {
			t.Errorf("%+v: %d streams while open", c, n)
		}
		if pass.Close(); b.Streams().Count([32]byte{1}) != 0 {
			t.Errorf("%+v: stayed after the end", c)
		}
	}
}

func TestOrdinaryAnswersAreNoStreams(t *testing.T) {
	t.Parallel()
	b := setup()
	pass := b.admit(t, good)
	w, r := pass.Wrap(httptest.NewRecorder(), b.request(good).HTTP, nil)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(200)
	if n := b.Streams().Count([32]byte{1}); n != 0 {
		t.Errorf("%d streams", n)
	}
	if pass.Close(); r.Context().Err() == nil {
		t.Error("the context outlives the request")
	}
}

// A stream that is still being answered when its site goes must not stay.
func TestStreamAfterTheEndOfTheSite(t *testing.T) {
	t.Parallel()
	b := setup()
	pass := b.admit(t, good)
	w, r := pass.Wrap(httptest.NewRecorder(), b.request(good).HTTP, nil)
	defer pass.Close()
	b.Streams().EndAll()
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(200)
	if r.Context().Err() == nil {
		t.Error("the stream goes on")
	}
}

// recorder tells what reaches the real writer.
type recorder struct {
	*httptest.ResponseRecorder
	statuses []int
	flushed  int
	readFrom bool
}

func (r *recorder) WriteHeader(s int) {
	r.statuses = append(r.statuses, s)
	if s >= 200 {
		r.ResponseRecorder.WriteHeader(s)
	}
}

func (r *recorder) FlushError() error {
	r.flushed++
	return errors.ErrUnsupported
}

func (r *recorder) ReadFrom(src io.Reader) (int64, error) {
	r.readFrom = true
	return io.Copy(r.ResponseRecorder, src)
}

func TestWriterKeepsTheWritersAbilities(t *testing.T) {
	t.Parallel()
	b := setup()
	under := &recorder{ResponseRecorder: httptest.NewRecorder()}
	pass := b.admit(t, good)
	w, _ := pass.Wrap(under, b.request(good).HTTP, nil)
	defer pass.Close()
	w.WriteHeader(http.StatusEarlyHints)
	if err := http.NewResponseController(w).Flush(); !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	w.WriteHeader(http.StatusTeapot) // too late, as everywhere
	if n, err := w.ReadFrom(io.LimitReader(strings.NewReader("body"), 4)); n != 4 || err != nil {
		t.Error(n, err)
	}
	if len(under.statuses) != 2 || under.statuses[0] != 103 || under.statuses[1] != 200 || under.flushed != 1 || !under.readFrom {
		t.Errorf("%+v", under)
	}
	if w.Status() != 200 || w.Unwrap() != under || under.Body.String() != "body" {
		t.Errorf("%d %q", w.Status(), under.Body)
	}
	if under.Header().Get("Cache-Control") != "private" {
		t.Error("the flush went past the hook")
	}
}

func TestReplacedBodyIsSwallowed(t *testing.T) {
	t.Parallel()
	b := setup()
	under := &recorder{ResponseRecorder: httptest.NewRecorder()}
	pass := b.admit(t, good)
	w, _ := pass.Wrap(under, b.request(good).HTTP, func() string { return "r" })
	defer pass.Close()
	w.WriteHeader(401)
	n, err := w.Write([]byte("secret"))
	m, err2 := w.ReadFrom(strings.NewReader("secret"))
	if n != 6 || m != 6 || err != nil || err2 != nil || strings.Contains(under.Body.String(), "secret") || under.Code != 502 {
		t.Errorf("%d %d %v %v %d %s", n, m, err, err2, under.Code, under.Body)
	}
}
