// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

// Golden files are a Caddyfile, a line of ten dashes, and what comes of it. Those in
// testdata/adapt hold the JSON, or the error of the parser with its position; those in
// testdata/validate the sentence with which Provision refuses. Their names are a word
// with its block, and the kind of case: resource.scopes.missing.caddyfiletest.
const (
	goldenSuffix = ".caddyfiletest"
	goldenDashes = "\n----------\n"
)

var updateGoldens = flag.Bool("update-goldens", false, "write what comes out into the golden files")

// setGoldenEnv sets what the placeholders of golden files stand for.
func setGoldenEnv(t *testing.T) {
	t.Helper()
	t.Setenv("MCPOAUTH_TEST_SECRET", "correct-horse-battery-staple")
	t.Setenv("MCPOAUTH_TEST_TWO", "one two")
	t.Setenv("MCPOAUTH_TEST_EMPTY", "")
}

// goldens calls fn for each golden file of a folder. fn returns what comes of the
// Caddyfile.
func goldens(t *testing.T, folder string, fn func(t *testing.T, input []byte) string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*"+goldenSuffix))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files in %s: %v", folder, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), goldenSuffix), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, found := strings.Cut(strings.ReplaceAll(string(raw), "\r\n", "\n"), goldenDashes)
			if !found {
				t.Fatal("the file has no line of ten dashes")
			}
			if formatted := caddyfile.Format([]byte(input)); string(formatted) != input+"\n" {
				t.Errorf("the Caddyfile should be formatted as:\n%s", formatted)
			}
			got := fn(t, []byte(input+"\n"))
			if *updateGoldens {
				if err := os.WriteFile(file, []byte(input+goldenDashes+got+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != strings.TrimSpace(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, strings.TrimSpace(want))
			}
		})
	}
}

func adapt(t *testing.T, input []byte) ([]byte, error) {
	t.Helper()
	out, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(input, nil)
	return out, err
}

func TestAdaptGoldens(t *testing.T) {
	goldens(t, "adapt", func(t *testing.T, input []byte) string {
		out, err := adapt(t, input)
		if err != nil {
			return err.Error()
		}
		return indent(t, out)
	})
}

func indent(t *testing.T, raw []byte) string {
	t.Helper()
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, raw, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return pretty.String()
}

func TestValidateGoldens(t *testing.T) {
	setGoldenEnv(t)
	goldens(t, "validate", func(t *testing.T, input []byte) string {
		err := validate(t, input)
		if err == nil {
			return "valid"
		}
		_, sentence, found := strings.Cut(err.Error(), "provision http.handlers.mcp_oauth: ")
		if !found {
			t.Errorf("the error is not from the handler: %v", err)
		}
		return sentence
	})
}

// validate does what caddy validate does.
func validate(t *testing.T, input []byte) error {
	t.Helper()
	out, err := adapt(t, input)
	if err != nil {
		t.Fatalf("the parser refuses what Provision should judge: %v", err)
	}
	var cfg caddy.Config
	if err := caddy.StrictUnmarshalJSON(out, &cfg); err != nil {
		t.Fatal(err)
	}
	return caddy.Validate(&cfg)
}
