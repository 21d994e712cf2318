// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// accessLine is a line of Caddy's access log.
type accessLine struct {
	Request struct{ URI string }
	Status  int
	Ref     string `json:"mcp_ref"`
}

// accessLog are the lines so far.
func accessLog(t testing.TB, path string) []accessLine {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []accessLine
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var l accessLine
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		all = append(all, l)
	}
	return all
}

// Whoever reads a reference id aloud is found in the log: in the access log, or, where the
// query could hold a token and the request is kept out of there, in a line without it.
func TestReferenceIsInTheLog(t *testing.T) {
	t.Parallel()
	access := filepath.Join(t.TempDir(), "access.log")
	w, all := refusing(t, "log {\noutput file "+access+"\n}\n")
	for name, r := range all {
		a := w.refuse(r)
		ref := a.member(t, "ref")
		if len(ref) != 16 {
			t.Errorf("%s: no reference in %s", name, a.body)
			continue
		}
		if r.query != "" {
			w.caddy.AwaitOutput(t, `"ref":"`+ref+`"`)
			continue
		}
		var found []accessLine
		eventually(t, name+": the line of "+ref, func() bool {
			for _, l := range accessLog(t, access) {
				if l.Ref == ref {
					found = append(found, l)
				}
			}
			return len(found) > 0
		})
		if len(found) != 1 || found[0].Status != a.status || found[0].Request.URI != "/mcp" {
			t.Errorf("%s: %+v", name, found)
		}
	}
	for _, l := range accessLog(t, access) {
		if strings.Contains(l.Request.URI, "?") || l.Ref == "" && l.Status != http.StatusOK {
			t.Errorf("access log: %+v", l)
		}
	}
}
