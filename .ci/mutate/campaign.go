// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// campaignDir has the test that sends generated requests to a real server.
const campaignDir = "internal/campaign"

// campaign takes the checks of the guard and of the routes out one by one: the campaign
// must fail for each.
func (t *trial) campaign(mutants []*mutant, out io.Writer) (bool, error) {
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
	var checks []*mutant
	for _, m := range mutants {
		if m.refuses && (m.dir == "internal/guard" || m.dir == "internal/route") {
			checks = append(checks, m)
		}
	}
	var mu sync.Mutex
	missed := 0
	err = each(t.workers, checks, func(m *mutant) error {
		why, err := p.run(strconv.Itoa(m.id), tests, unknown)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if why == "" {
			missed++
			why = "MISSED"
		}
		fmt.Fprintf(out, "%s: %s\n", why, m.identity())
		return nil
	})
	fmt.Fprintf(out, "%d checks taken out, %d of them missed by the campaign\n", len(checks), missed)
	return missed == 0 && err == nil, err
}
