// SPDX-License-Identifier: Apache-2.0

package entratest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fault is a way for an endpoint to fail.
type Fault struct {
	// Status, Header and Body are the answer.
	Status int
	Header map[string]string
	Body   string
	// Size makes the body this many bytes long in place of Body.
	Size int
	// Hang answers nothing until the caller gives up or the server closes.
	Hang bool
	// Times is how often it happens; zero means until Mend.
	Times int
}

// Outage is a server error with a page in HTML.
func Outage() Fault {
	return Fault{Status: http.StatusBadGateway, Header: map[string]string{"Content-Type": "text/html"}, Body: "<h1>502 Bad Gateway</h1>"}
}

// Throttled is 429 with Retry-After.
func Throttled() Fault {
	return Fault{Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": "60"}, Body: "{}"}
}

// Answer is an OAuth error with the numbers that Microsoft adds.
func Answer(status int, code string, numbers ...int) Fault {
	var list []string
	for _, n := range numbers {
		list = append(list, strconv.Itoa(n))
	}
	codes := strings.Join(list, ",")
	return Fault{
		Status: status,
		Header: map[string]string{"Content-Type": "application/json"},
		Body: `{"error":"` + code + `","error_description":"AADSTS` + codes + `: refused for anna@contoso.example","error_codes":[` + codes +
			`],"correlation_id":"` + fixedCorrelation + `","trace_id":"` + fixedTrace + `"}`,
	}
}

// Looping is what Microsoft answers to a client that asks too often: it looks like the
// end of a grant.
func Looping() Fault { return Answer(http.StatusBadRequest, "invalid_grant", 50196) }

const (
	fixedCorrelation = "c0ffee00-0000-4000-8000-000000000001"
	fixedTrace       = "c0ffee00-0000-4000-8000-000000000002"
)

// Break makes an endpoint fail.
func (s *server) Break(e Endpoint, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[e] = f
}

// Mend ends what Break began.
func (s *server) Mend(e Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.faults, e)
}

// fault returns the fault of an endpoint and counts it.
func (s *server) fault(e Endpoint) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.faults[e]
	if !ok {
		return f, false
	}
	switch f.Times {
	case 0:
	case 1:
		delete(s.faults, e)
	default:
		left := f
		left.Times--
		s.faults[e] = left
	}
	return f, true
}

func (f Fault) serve(s *server, w http.ResponseWriter, r *http.Request) {
	if f.Hang {
		select {
		case <-r.Context().Done():
		case <-s.done.Done():
		}
		return
	}
	for k, v := range f.Header {
		w.Header().Set(k, v)
	}
	w.Header().Set("Date", s.now().UTC().Format(time.RFC1123))
	w.WriteHeader(f.Status)
	if f.Size == 0 {
		_, _ = w.Write([]byte(f.Body))
		return
	}
	block := []byte(strings.Repeat("x", 64<<10))
	for n := 0; n < f.Size; n += len(block) {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}
