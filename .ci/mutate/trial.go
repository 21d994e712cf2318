// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// trial is the tests of all targets.
type trial struct {
	changed  *changed
	programs map[string]*program // by directory
	workers  int
}

// verdict is what became of a mutant.
type verdict struct {
	*mutant

	// killer is the test that fails, or what else gave the mutant away; "" where it survived.
	killer  string
	reached bool
}

// prepare compiles the tests of directories and finds out which of them pass by which
// mutant.
func (t *trial) prepare(dirs []string) error {
	t.programs = map[string]*program{}
	type job struct {
		program *program
		test    string
	}
	var jobs []job
	for _, dir := range dirs {
		path, err := t.changed.build(dir)
		if err != nil {
			return err
		}
		p := &program{
			dir: dir, path: path, cwd: filepath.Join(t.changed.module, dir),
			took: map[string]time.Duration{}, reach: map[int][]string{},
		}
		if err := p.list(leftOut[dir]); err != nil {
			return err
		}
		t.programs[dir] = p
		for _, test := range p.tests {
			jobs = append(jobs, job{p, test})
		}
	}
	var mu sync.Mutex
	err := each(t.workers, jobs, func(j job) error {
		ids, took, err := j.program.observe(j.test, t.changed.tmp)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		j.program.took[j.test] = took
		for _, id := range ids {
			j.program.reach[id] = append(j.program.reach[id], j.test)
		}
		return nil
	})
	for _, p := range t.programs {
		p.quick()
	}
	return err
}

// judge tries every mutant against the tests that pass by it. dirs are the packages whose
// tests count for a mutant.
func (t *trial) judge(mutants []*mutant, dirs func(*mutant) []string, done func(verdict)) error {
	var mu sync.Mutex
	return each(t.workers, mutants, func(m *mutant) error {
		v := verdict{mutant: m}
		for _, dir := range dirs(m) {
			p := t.programs[dir]
			tests := p.reach[m.id]
			if len(tests) == 0 {
				continue
			}
			v.reached = true
			why, err := p.run(strconv.Itoa(m.id), tests, p.limit(tests))
			if err != nil {
				return err
			}
			if v.killer = why; why != "" {
				break
			}
		}
		mu.Lock()
		defer mu.Unlock()
		done(v)
		return nil
	})
}

// each calls f for all items, on a few goroutines, until one fails.
func each[T any](workers int, items []T, f func(T) error) error {
	queue, errs := make(chan T), make(chan error, workers)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for item := range queue {
				if err := f(item); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	var failed error
feed:
	for _, item := range items {
		select {
		case queue <- item:
		case failed = <-errs:
			break feed
		}
	}
	close(queue)
	wg.Wait()
	if failed == nil && len(errs) > 0 {
		failed = <-errs
	}
	return failed
}
