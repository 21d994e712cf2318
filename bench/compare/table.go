// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// row is one measurement of one system in one round.
type row struct {
	round    int
	setting  string // what the load was, such as the number of connections
	position int    // in the order of the round
	system   string
	base     string
	values   map[string]float64
}

// table is all that one mode measured. It is written after each round, so that a run
// that ends early loses nothing.
type table struct {
	mode    string
	metrics []string // columns in their order
	rows    []row
}

var fixed = []string{"round", "setting", "position", "system", "base"}

func (t *table) path(dir string) string { return filepath.Join(dir, t.mode+".csv") }

func (t *table) write(dir string) error {
	f, err := os.Create(t.path(dir))
	if err != nil {
		return err
	}
	defer f.Close()
	out := csv.NewWriter(f)
	lines := [][]string{append(append([]string{}, fixed...), t.metrics...)}
	for _, r := range t.rows {
		line := []string{strconv.Itoa(r.round), r.setting, strconv.Itoa(r.position), r.system, r.base}
		for _, m := range t.metrics {
			line = append(line, strconv.FormatFloat(r.values[m], 'f', -1, 64))
		}
		lines = append(lines, line)
	}
	if err := out.WriteAll(lines); err != nil {
		return err
	}
	return f.Close()
}

// readTable reads the rounds of a mode; without any it returns nil.
func readTable(dir, mode string) (*table, error) {
	t := &table{mode: mode}
	f, err := os.Open(t.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(lines) < 2 || len(lines[0]) < len(fixed) {
		return nil, fmt.Errorf("%s holds no rounds", t.path(dir))
	}
	t.metrics = lines[0][len(fixed):]
	for _, line := range lines[1:] {
		r, err := t.parse(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.path(dir), err)
		}
		t.rows = append(t.rows, r)
	}
	return t, nil
}

func (t *table) parse(line []string) (r row, err error) {
	r = row{setting: line[1], system: line[3], base: line[4], values: map[string]float64{}}
	if r.round, err = strconv.Atoi(line[0]); err != nil {
		return r, err
	}
	if r.position, err = strconv.Atoi(line[2]); err != nil {
		return r, err
	}
	for i, m := range t.metrics {
		if r.values[m], err = strconv.ParseFloat(line[len(fixed)+i], 64); err != nil {
			return r, err
		}
	}
	return r, nil
}

// settings and systems are what was measured, in the order in which it appears.
func (t *table) settings() []string { return t.distinct(func(r row) string { return r.setting }) }

func (t *table) systems(setting string) []string {
	named := t.distinct(func(r row) string {
		if r.setting != setting {
			return ""
		}
		return r.system
	})
	var out []string
	for _, k := range kinds {
		for _, name := range named {
			if name == k.name {
				out = append(out, name)
			}
		}
	}
	return out
}

func (t *table) distinct(of func(row) string) (out []string) {
	seen := map[string]bool{"": true}
	for _, r := range t.rows {
		if v := of(r); !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}

// rounds are the values of a metric of a system by round.
func (t *table) rounds(setting, system, metric string) map[int]float64 {
	out := map[int]float64{}
	for _, r := range t.rows {
		if r.setting == setting && r.system == system {
			out[r.round] = r.values[metric]
		}
	}
	return out
}

// base is what a system is compared with.
func (t *table) base(setting, system string) string {
	for _, r := range t.rows {
		if r.setting == setting && r.system == system {
			return r.base
		}
	}
	return ""
}

// against applies compare to the values of a system and of its base in the same round.
func (t *table) against(setting, system, base, metric string, compare func(a, b float64) float64) (out []float64) {
	bases := t.rounds(setting, base, metric)
	for round, v := range t.rounds(setting, system, metric) {
		if b, ok := bases[round]; ok {
			out = append(out, compare(v, b))
		}
	}
	return out
}
