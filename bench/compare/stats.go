// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"math"
	mathrand "math/rand/v2"
	"slices"
)

// median of values that need not be sorted; NaN without any.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// resamples is how often interval draws: enough that its ends move by less than what is
// printed.
const resamples = 10_000

// interval is the 95 % interval of the median by the bootstrap: the median of as many
// values, drawn with replacement from those measured, lies in it 95 times of 100. The
// draws are the same in every run.
func interval(values []float64) (low, high float64) {
	if len(values) == 0 {
		return math.NaN(), math.NaN()
	}
	// The order in which rounds were read does not matter.
	values = slices.Sorted(slices.Values(values))
	random := mathrand.New(mathrand.NewPCG(1, 2))
	drawn, medians := make([]float64, len(values)), make([]float64, resamples)
	for i := range medians {
		for j := range drawn {
			drawn[j] = values[random.IntN(len(values))]
		}
		medians[i] = median(drawn)
	}
	slices.Sort(medians)
	return medians[resamples*25/1000], medians[resamples*975/1000-1]
}

func ratio(a, b float64) float64      { return a / b }
func difference(a, b float64) float64 { return a - b }

// spread is a median with its interval and the smallest and largest value.
func spread(values []float64) string {
	if len(values) == 0 {
		return "–"
	}
	low, high := interval(values)
	return fmt.Sprintf("%.3f (%.3f–%.3f; %.2f–%.2f)", median(values), low, high, slices.Min(values), slices.Max(values))
}

// narrow is a median with its interval.
func narrow(values []float64, format string) string {
	if len(values) == 0 {
		return "–"
	}
	low, high := interval(values)
	return fmt.Sprintf(format+" ("+format+" to "+format+")", median(values), low, high)
}

func valuesOf(m map[int]float64) []float64 { return slices.Collect(maps.Values(m)) }
