// SPDX-License-Identifier: Apache-2.0

package mcpoauth_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/mcpoauth/caddy-mcp-oauth"

// listed is what `go list` tells about a package of this module.
type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string // of production files
	Deps       []string // and everything behind them
}

// short is the import path below the module, "." for the root.
func (p listed) short() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// packages lists every package of the module once.
var packages = sync.OnceValues(func() ([]listed, error) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports,Deps", "./...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, errors.New(string(exit.Stderr))
		}
		return nil, err
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

func modulePackages(t *testing.T) []listed {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	if len(all) < 10 {
		t.Fatalf("go list found only %d packages", len(all))
	}
	return all
}

// testSupport tells whether a package exists for tests, demonstrations and measurements
// alone; it may link what production code may not.
func testSupport(short string) bool {
	return strings.HasSuffix(short, "test") || below(short, "examples", "bench", "interop",
		"internal/caddyrun", "internal/campaign", "internal/e2e", "internal/faultproxy", "store/storetest")
}

// below tells whether a package or import is one of the given ones or inside one.
func below(p string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return p == root || strings.HasPrefix(p, root+"/")
	})
}

// standard tells whether an import is of the standard library: its first element has no
// dot. What the library vendors counts too.
func standard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

const (
	caddyV2   = "github.com/caddyserver/caddy/v2"
	goOIDC    = "github.com/coreos/go-oidc/v3"
	xOAuth2   = "golang.org/x/oauth2"
	golangJWT = "github.com/golang-jwt/jwt/v5"
	azureSDK  = "github.com/Azure/azure-sdk-for-go/sdk"
)

// Nothing imports the root: it puts the rooms together, and they do not know it. Whoever
// runs the whole thing may.
func TestArchNothingImportsTheRoot(t *testing.T) {
	t.Parallel()
	for _, p := range modulePackages(t) {
		if slices.Contains(p.Imports, module) && !testSupport(p.short()) {
			t.Errorf("%s imports the root", p.short())
		}
	}
}

func TestArchAuthserverAndGuardAreStrangers(t *testing.T) {
	t.Parallel()
	apart := [][2]string{{"internal/authserver", "internal/guard"}, {"internal/guard", "internal/authserver"}}
	for _, p := range modulePackages(t) {
		for _, pair := range apart {
			if p.short() == pair[0] && slices.Contains(p.Deps, path.Join(module, pair[1])) {
				t.Errorf("%s depends on %s", pair[0], pair[1])
			}
		}
	}
}

// surfacePkg is the part of the adapter to Caddy that the root and the modules share.
const surfacePkg = "internal/surface"

// Only the root and the modules know Caddy: root, store/*/module.go, provider/*/module.go,
// and what these have in common.
// Everything else must not link it even indirectly.
func TestArchCaddyStaysOutside(t *testing.T) {
	t.Parallel()
	for _, p := range modulePackages(t) {
		short := p.short()
		if testSupport(short) || short == "" || short == surfacePkg || isModule(short) {
			continue
		}
		for _, d := range p.Deps {
			if below(d, caddyV2) {
				t.Errorf("%s depends on %s", short, d)
				break
			}
		}
	}
	for _, f := range goFiles(t) {
		ok := f.dir == "." || f.dir == surfacePkg || path.Base(f.path) == "module.go" && isModule(f.dir)
		if !ok && f.production() && f.imports(caddyV2) {
			t.Errorf("%s imports Caddy; only module.go of a store or provider and the root may", f.path)
		}
	}
}

// isModule tells whether a package is a store or a provider, which are Caddy modules.
func isModule(short string) bool {
	parent := path.Dir(short)
	return parent == "store" || parent == "provider"
}

func TestArchStandardLibraryAlone(t *testing.T) {
	t.Parallel()
	alone := []string{
		"pkce", "store", "internal/oauth", "internal/seal", "internal/secret", "internal/clock",
	}
	for _, p := range modulePackages(t) {
		if !slices.Contains(alone, p.short()) {
			continue
		}
		for _, d := range p.Deps {
			own := strings.TrimPrefix(d, module+"/")
			if !standard(d) && !slices.Contains(alone, own) {
				t.Errorf("%s depends on %s", p.short(), d)
			}
		}
	}
}

// Libraries that handle credentials are used in few places, each of which was reviewed.
func TestArchLibrariesInTheirRooms(t *testing.T) {
	t.Parallel()
	rooms := map[string][]string{
		goOIDC:                            {"provider"},
		xOAuth2:                           {"provider"},
		golangJWT:                         {"internal/tokens", "internal/clients", "provider/entra"},
		"go.etcd.io/bbolt":                {"store/file"},
		azureSDK:                          {"internal/azure", "internal/azuretest", "store/azuretable", "store/cosmos"},
		azureSDK + "/azidentity":          {"internal/azure"},
		azureSDK + "/data/aztables":       {"store/azuretable"},
		azureSDK + "/data/azcosmos":       {"store/cosmos"},
		"github.com/redis/go-redis":       {"store/redis"},
		"github.com/alicebob/miniredis":   {},
		"github.com/jackc/pgx/v5":         {"store/postgres"},
		"github.com/microsoft/go-mssqldb": {"store/sqlserver"},
		"modernc.org/sqlite":              {"store/sqlite"},
		"github.com/go-jose":              {},
		"github.com/modelcontextprotocol": {},
		"github.com/chromedp":             {},
		"golang.org/x/net/html":           {},
		"math/rand":                       {},
		"unsafe":                          {},
	}
	for _, f := range goFiles(t) {
		for library, allowed := range rooms {
			if f.production() && f.imports(library) && !below(f.dir, allowed...) {
				t.Errorf("%s imports %s, which belongs to %v", f.path, library, allowed)
			}
		}
	}
}

// Whoever builds the server links the stores that he asked for and no others, nor their
// drivers. The tags are those of xcaddy and of Caddy's releases: without them Caddy's own
// PKI brings pgx.
func TestArchStoresAreOptIn(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "-tags", "nobadger,nomysql,nopgx", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	optIn := []string{
		"github.com/jackc", "github.com/microsoft/go-mssqldb", "github.com/Azure", "modernc.org",
		path.Join(module, "store/azuretable"), path.Join(module, "store/cosmos"), path.Join(module, "internal/azure"),
		path.Join(module, "store/postgres"), path.Join(module, "store/sqlserver"), path.Join(module, "store/sqlite"),
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, path.Join(module, "store/file")) {
		t.Fatal("go list did not list what the server links")
	}
	for _, d := range deps {
		if below(d, optIn...) {
			t.Errorf("the default build links %s", d)
		}
	}
}

// What exists for tests must not end up in somebody's server.
func TestArchTestSupportStaysOutside(t *testing.T) {
	t.Parallel()
	for _, p := range modulePackages(t) {
		if testSupport(p.short()) {
			continue
		}
		for _, d := range p.Deps {
			own, ours := strings.CutPrefix(d, module+"/")
			if ours && testSupport(own) || d == "testing" {
				t.Errorf("%s depends on %s", p.short(), d)
			}
		}
	}
}
