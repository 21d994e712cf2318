// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// accepting is a request that accepts an event stream.
func (b *bench) accepting(method string) Request {
	req := b.request(good, "Accept", "application/json, text/Event-Stream")
	req.HTTP.Method = method
	return req
}

// open admits a request and answers it with an event stream. It tells whether the stream
// was ended.
func (b *bench) open(t *testing.T) (ended func() bool, closed func()) {
	t.Helper()
	req := b.accepting(http.MethodPost)
	pass, err := b.Admit(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	w, r := pass.Wrap(httptest.NewRecorder(), req.HTTP, nil)
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	return func() bool { return r.Context().Err() != nil && pass.Cut() }, pass.Close
}

func TestStreamsByGrant(t *testing.T) {
	t.Parallel()
	b := setup()
	endedA, closeA := b.open(t)
	endedB, closeB := b.open(t)
	defer closeB()
	if n := b.Streams().Count([32]byte{1}); n != 2 || b.Streams().Total() != 2 {
		t.Errorf("%d streams", n)
	}
	closeA()
	closeA()
	if n := b.Streams().Count([32]byte{1}); n != 1 || endedA() {
		t.Errorf("%d streams, closed one cut: %v", n, endedA())
	}
	b.Streams().End([32]byte{2})
	if endedB() {
		t.Error("the end of another grant cut the stream")
	}
	b.Streams().End([32]byte{1})
	if !endedB() {
		t.Error("the stream goes on")
	}
	b.Streams().EndAll()
	endedC, closeC := b.open(t)
	defer closeC()
	if !endedC() {
		t.Error("a stream begins after the end of the site")
	}
}

// One session cannot hold a server's connections: beyond its limit whoever might open
// one more stream is told to wait, and everything else goes on.
func TestLimitOfStreams(t *testing.T) {
	t.Parallel()
	b := setup()
	b.policy.Streams.PerSession = 3
	var closed []func()
	for range 3 {
		_, c := b.open(t)
		closed = append(closed, c)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		w, _ := b.answer(b.accepting(method))
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || w.Header().Get("WWW-Authenticate") != "" ||
			code(t, w) != "temporarily_unavailable" {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
	}
	if w, _ := b.answer(b.request(good)); w.Code != http.StatusOK {
		t.Errorf("a request that accepts no stream: %d", w.Code)
	}
	if n := b.config.Stats.Count(TooManyStreams); n != 2 {
		t.Errorf("%d counted", n)
	}
	closed[0]()
	if w, _ := b.answer(b.accepting(http.MethodPost)); w.Code != http.StatusOK {
		t.Errorf("after one has closed: %d", w.Code)
	}
}

// A GET that accepts a stream is going to be one: it counts before its answer begins, or
// a thousand could pass at once.
func TestWaitingGETsCount(t *testing.T) {
	t.Parallel()
	b := setup()
	b.policy.Streams.PerSession = 2
	req := b.accepting(http.MethodGet)
	first, err := b.Admit(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	second := b.accepting(http.MethodGet)
	pass, err := b.Admit(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	if w, _ := b.answer(b.accepting(http.MethodGet)); w.Code != http.StatusTooManyRequests {
		t.Errorf("status %d", w.Code)
	}
	// One turns out to be no stream and counts no more.
	w, _ := first.Wrap(httptest.NewRecorder(), req.HTTP, nil)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	if n := b.Streams().Count([32]byte{1}); n != 1 {
		t.Errorf("%d streams", n)
	}
	pass.Close()
	first.Close()
	if n := b.Streams().Total(); n != 0 {
		t.Errorf("%d streams are left", n)
	}
}

func TestRevokedStreamsAreCut(t *testing.T) {
	t.Parallel()
	b := setup()
	ended, closed := b.open(t)
	defer closed()
	_, another := b.open(t)
	defer another()
	b.Recheck(t.Context())
	if ended() || b.checks.Load() != 1 {
		t.Errorf("ended %v after %d checks for two streams of one grant", ended(), b.checks.Load())
	}
	b.end(1, errExpired)
	b.Recheck(t.Context())
	if !ended() {
		t.Error("the stream of an ended grant goes on")
	}
}

// What changes on this node, or is reported by another, is looked at before the next
// round, and nothing else is.
func TestSuspectsAreLookedAtSoon(t *testing.T) {
	t.Parallel()
	b := setup()
	ended, closed := b.open(t)
	defer closed()
	b.end(1, errExpired)
	b.Changed([32]byte{7})
	b.RecheckSuspects(t.Context())
	if b.checks.Load() != 0 {
		t.Error("a grant was looked at that nobody suspects")
	}
	b.Changed([32]byte{1})
	<-b.Streams().Suspects()
	b.RecheckSuspects(t.Context())
	if !ended() {
		t.Error("the stream goes on")
	}
	b.ChangedAll()
	<-b.Streams().Suspects()
	b.RecheckSuspects(t.Context())
	if n := b.checks.Load(); n != 2 {
		t.Errorf("%d checks", n)
	}
}

// An outage of the store cuts nobody at once, but a session that cannot be asked about
// for long does not go on either.
func TestOutageAndStreams(t *testing.T) {
	t.Parallel()
	b := setup()
	ended, closed := b.open(t)
	defer closed()
	b.end(1, errStore)
	for range patience - 1 {
		b.Recheck(t.Context())
	}
	b.end(1, nil)
	b.Recheck(t.Context())
	b.end(1, errors.New("still down"))
	for i := range patience {
		if ended() {
			t.Errorf("cut at check %d", i)
		}
		b.Recheck(t.Context())
	}
	if !ended() {
		t.Error("the stream goes on")
	}
}

// By default a session has 64 streams on a node, whether they were asked for by GET or by
// POST. A POST that was answered otherwise has never counted.
func TestDefaultLimitOfStreams(t *testing.T) {
	t.Parallel()
	b := setup()
	for range 32 {
		_, closed := b.open(t)
		defer closed()
	}
	for range 32 {
		pass := b.answerTo(t, b.accepting(http.MethodPost))
		answer, _ := pass.Wrap(httptest.NewRecorder(), b.accepting(http.MethodPost).HTTP, nil)
		answer.Header().Set("Content-Type", "application/json")
		answer.WriteHeader(http.StatusOK)
		pass.Close()
		defer b.answerTo(t, b.accepting(http.MethodGet)).Close()
	}
	if n := b.Streams().Total(); n != 64 {
		t.Errorf("%d streams", n)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if w, _ := b.answer(b.accepting(method)); w.Code != http.StatusTooManyRequests {
			t.Errorf("%s beyond the limit: %d", method, w.Code)
		}
	}
}
