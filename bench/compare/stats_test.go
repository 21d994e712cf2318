// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1, 4}, 4},
		{[]float64{1, 9, 3, 5}, 4},
	} {
		before := slices.Clone(c.values)
		if got := median(c.values); got != c.want {
			t.Errorf("median(%v) = %v, not %v", c.values, got, c.want)
		}
		if !slices.Equal(c.values, before) {
			t.Errorf("median changed %v", before)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("nothing has a median")
	}
}

// The interval covers the median, is narrower than the range, does not depend on the
// order, and is a point where all values are one.
func TestInterval(t *testing.T) {
	t.Parallel()
	var values []float64
	for i := range 21 {
		values = append(values, float64(i))
	}
	low, high := interval(values)
	if low <= 0 || low >= 10 || high <= 10 || high >= 20 {
		t.Errorf("interval of 0…20 is %v to %v", low, high)
	}
	slices.Reverse(values)
	if l, h := interval(values); l != low || h != high {
		t.Errorf("in another order it is %v to %v", l, h)
	}
	if l, h := interval([]float64{7, 7, 7}); l != 7 || h != 7 {
		t.Errorf("of one value it is %v to %v", l, h)
	}
}
