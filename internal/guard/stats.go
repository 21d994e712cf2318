// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"math"
	"net/http"
	"sync/atomic"
	"time"
)

// Result is what became of a request at the guard. The set is closed.
type Result int

// The results.
const (
	Passed Result = iota
	NoToken
	InvalidToken
	InsufficientScope
	InvalidRequest
	OriginRefused
	EarlyData
	TooManyStreams
	Unavailable
	results
)

// String returns the result as metrics name it.
func (r Result) String() string {
	return [results]string{
		"passed", "no_token", "invalid_token", "insufficient_scope", "invalid_request", "origin_refused", "early_data",
		"too_many_streams", "unavailable",
	}[r]
}

// Results are all results.
func Results() []Result {
	out := make([]Result, results)
	for i := range out {
		out[i] = Result(i)
	}
	return out
}

// Buckets are the upper bounds of the histogram of the guard's own time, in seconds.
var Buckets = [...]float64{1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 5e-4, 1e-3, 1e-2, 1e-1, 1}

// stripes is a power of two. Requests of different connections count in different memory,
// so that processors do not wait for each other.
const stripes = 16

// Stats count requests and the time that the guard took for them. The zero value is ready
// for use.
type Stats struct{ stripe [stripes]stripe }

type stripe struct {
	results [results]atomic.Uint64
	buckets [len(Buckets) + 1]atomic.Uint64
	nanos   atomic.Uint64
	_       [64]byte // no two stripes share a cache line
}

// observe counts one request.
func (s *Stats) observe(r *http.Request, result Result, took time.Duration) {
	st := &s.stripe[stripeOf(r.RemoteAddr)]
	st.results[result].Add(1)
	st.nanos.Add(uint64(max(took, 0)))
	st.buckets[bucketOf(took)].Add(1)
}

// stripeOf picks a stripe by the port of the client: the last digits differ most.
func stripeOf(address string) int {
	n := 0
	for i := max(len(address)-2, 0); i < len(address); i++ {
		n = n*10 + int(address[i])
	}
	return n & (stripes - 1)
}

func bucketOf(took time.Duration) int {
	for i, bound := range bounds {
		if took <= bound {
			return i
		}
	}
	return len(Buckets)
}

// bounds are Buckets as they are compared.
var bounds = func() (out [len(Buckets)]time.Duration) {
	for i, seconds := range Buckets {
		out[i] = time.Duration(math.Round(seconds * float64(time.Second)))
	}
	return out
}()

// Count is the number of requests with a result.
func (s *Stats) Count(r Result) uint64 {
	var n uint64
	for i := range s.stripe {
		n += s.stripe[i].results[r].Load()
	}
	return n
}

// Histogram returns the number of requests, the sum of their times in seconds, and for
// each of Buckets how many took at most that long.
func (s *Stats) Histogram() (count uint64, sum float64, cumulative map[float64]uint64) {
	cumulative = make(map[float64]uint64, len(Buckets))
	for i := range len(Buckets) + 1 {
		for j := range s.stripe {
			count += s.stripe[j].buckets[i].Load()
		}
		if i < len(Buckets) {
			cumulative[Buckets[i]] = count
		}
	}
	for j := range s.stripe {
		sum += time.Duration(s.stripe[j].nanos.Load()).Seconds()
	}
	return count, sum, cumulative
}
