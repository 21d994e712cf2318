// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// loadRows is a run of two rounds in which the guard is at 0.9 and 1.1 of plain Caddy.
func loadRows() *table {
	t := &table{mode: "load", metrics: []string{"per_s", "cpu_us", "p50_us", "p99_us", "errors", "wrk"}}
	for round, perSecond := range []float64{90, 110} {
		for i, s := range []struct {
			name string
			v    float64
		}{{"caddy", 100}, {"guard-memory-1", perSecond}} {
			t.rows = append(t.rows, row{
				round: round + 1, setting: "16", position: i + 1, system: s.name, base: "caddy",
				values: map[string]float64{"per_s": s.v, "cpu_us": 50.25, "p50_us": 7, "p99_us": 8, "errors": 0, "wrk": 1},
			})
		}
	}
	return t
}

func TestTableIsReadAsWritten(t *testing.T) {
	t.Parallel()
	dir, want := t.TempDir(), loadRows()
	if err := want.write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := readTable(dir, "load")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v", got)
	}
	if none, err := readTable(dir, "body"); none != nil || err != nil {
		t.Errorf("a mode without rounds is %v, %v", none, err)
	}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	t.Parallel()
	got := loadRows().against("16", "guard-memory-1", "caddy", "per_s", ratio)
	slices.Sort(got)
	if !slices.Equal(got, []float64{0.9, 1.1}) {
		t.Errorf("ratios %v", got)
	}
}

func TestReportOfLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := loadRows().write(dir); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := report(&out, dir); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Medians of 2 rounds; the load comes from wrk.",
		"#### 16 connections",
		"| `caddy` | | 100 | 1 | 50.2 | 1 | 7 | 8 | | | 0 |",
		"| `guard-memory-1` | `caddy` | 100 | 1.000 (0.900–1.100; 0.90–1.10) | 50.2 | 1.000",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if err := report(&out, t.TempDir()); err == nil {
		t.Error("a report of nothing")
	}
}

func TestWrongAnswersAreAnError(t *testing.T) {
	t.Parallel()
	rows := loadRows()
	if err := wrongAnswers(rows); err != nil {
		t.Error(err)
	}
	rows.rows[3].values["errors"] = 2
	if err := wrongAnswers(rows); err == nil || !strings.Contains(err.Error(), "guard-memory-1 had 2 errors in round 2") {
		t.Errorf("error %v", err)
	}
}
