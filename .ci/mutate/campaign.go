// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
)

const (
	// campaignDir has the test that sends generated requests to a real server.
	campaignDir = "internal/campaign"
	// unseenFile lists the checks whose absence it does not see, in the form of the
	// survivors.
	unseenFile = ".ci/mutate/unseen.txt"
)

// isCheck tells whether a mutant takes out a check of the guard or of the routes, or what
// keeps a header from the backend or from the client.
func (m *mutant) isCheck() bool {
	switch m.dir {
	case "internal/guard":
		hygiene := m.op == opStatement && slices.Contains([]string{"(*Pass).Apply", "stripAnswer"}, m.within)
		return m.refuses || hygiene
	case "internal/route":
		return m.refuses
	}
	return false
}

// campaign takes the checks out one by one: the campaign must fail for each that is not
// listed.
func (t *trial) campaign(mutants []*mutant, out io.Writer, partial bool) (bool, error) {
	listed, err := readSurvivors(filepath.Join(t.changed.module, unseenFile))
	if err != nil {
		return false, err
	}
	if _, err := os.Stat(filepath.Join(t.changed.module, campaignDir)); err != nil {
		return false, err
	}
	path, err := t.changed.build(campaignDir)
	if err != nil {
		return false, err
	}
	p := &program{dir: campaignDir, path: path, cwd: filepath.Join(t.changed.module, campaignDir), env: []string{"MCPOAUTH_CAMPAIGN=quick"}}
	tests := []string{"TestCampaign"}
	if why, err := p.run("0", tests, unknown); err != nil {
		return false, err
	} else if why != "" {
		return false, fmt.Errorf("the campaign fails without any mutant: %s", why)
	}
	checks := slices.DeleteFunc(slices.Clone(mutants), func(m *mutant) bool { return !m.isCheck() })
	var mu sync.Mutex
	seen, faults := 0, 0
	err = each(t.workers, checks, func(m *mutant) error {
		why, err := p.run(strconv.Itoa(m.id), tests, unknown)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		reason := listed[m.identity()]
		delete(listed, m.identity())
		switch {
		case why != "" && reason == "":
			seen++
		case why != "":
			seen++
			faults++
			fmt.Fprintf(out, "listed as unseen, but the campaign fails: %s\n", m.identity())
		case reason == "":
			faults++
			fmt.Fprintf(out, "the campaign does not see that this is missing: %s\n", m.identity())
		}
		return nil
	})
	if err == nil && !partial {
		for identity := range listed {
			faults++
			fmt.Fprintf(out, "listed as unseen, but there is no such check: %s\n", identity)
		}
	}
	fmt.Fprintf(out, "%d checks taken out one by one: the campaign fails for %d of them\n", len(checks), seen)
	return faults == 0 && err == nil, err
}
