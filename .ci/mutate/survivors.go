// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
)

// survivorsFile lists the mutants that no test can tell from the original, each with the
// reason: identity, separator, reason.
const (
	survivorsFile = ".ci/mutate/survivors.txt"
	separator     = " => "
)

// readSurvivors returns the reasons by identity.
func readSurvivors(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	reasons := map[string]string{}
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		identity, reason, ok := strings.Cut(line, separator)
		if !ok || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("%s:%d: no reason", path, n+1)
		}
		if reasons[identity] != "" {
			return nil, fmt.Errorf("%s:%d: listed twice", path, n+1)
		}
		reasons[identity] = reason
	}
	return reasons, nil
}
