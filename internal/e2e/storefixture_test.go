// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/mcptest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

var storeFixture = flag.String("store-fixture", "", "make the store fixture of this `name` in testdata/store, see README.md there")

// storeFixtures is where they are.
const storeFixtures = "../../testdata/store"

// fixtureTokens are what clients hold of the records of a store fixture.
type fixtureTokens struct {
	Made     int64  `json:"made"` // unix seconds
	Issuer   string `json:"issuer"`
	Resource string `json:"resource"`
	Client   string `json:"client"`
	Person   string `json:"person"`
	// Fresh was never refreshed. Rotated was, and Before is what it had before.
	Fresh   fixturePair `json:"fresh"`
	Rotated fixturePair `json:"rotated"`
	Before  fixturePair `json:"before"`
	Ended   fixturePair `json:"ended"`
	// Code was not redeemed; Spent was.
	Code  fixtureCode `json:"code"`
	Spent fixtureCode `json:"spent"`
	// Records are how many records of each kind there are.
	Records map[string]int `json:"records"`
}

type fixturePair struct {
	Access  string `json:"access"`
	Refresh string `json:"refresh"`
}

type fixtureCode struct {
	Code     string `json:"code"`
	Verifier string `json:"verifier"`
	Redirect string `json:"redirect"`
}

// TestMakeStoreFixture writes a store of the software as it is now, through a real server,
// for later versions to open.
func TestMakeStoreFixture(t *testing.T) {
	t.Parallel()
	if *storeFixture == "" {
		return // nobody asked for one; the flag is documented in testdata/store/README.md
	}
	w := newWorld(t)
	db := filepath.Join(t.TempDir(), "records.db")
	text := w.caddyfile("store file " + db + "\n")
	w.start(text)
	c := w.raw(w.issuer)
	made := fixtureTokens{Issuer: w.issuer, Resource: w.resource, Client: c.id, Person: w.emulator.Tenant() + "." + anna}
	revokeEarlier(c, text)
	made.Fresh = fixturePair(pairOf(c.signIn(w.resource)))
	before := c.signIn(w.resource)
	made.Before = pairOf(before)
	made.Ended = endedGrant(c)
	leaveLogin(c)
	unredeemed, spent := c.begin(w.resource), c.begin(w.resource)
	made.Code = codeOf(unredeemed)
	made.Spent = codeOf(spent)
	c.tokensOf(spent.redeem(made.Spent.Code))
	made.Rotated = pairOf(c.tokensOf(c.refresh(before.refresh)))
	made.Made = time.Now().Unix()
	made.Records = countRecords(t, w.tool(text, nil, "check"), w.issuer)
	w.caddy.Stop(t)
	made.write(t, db)
}

func pairOf(got tokens) fixturePair { return fixturePair{Access: got.access, Refresh: got.refresh} }

func codeOf(a *attempt) fixtureCode {
	a.client.t.Helper()
	return fixtureCode{Code: a.code(), Verifier: a.verifier, Redirect: a.client.redirect}
}

// endedGrant ends what it got by showing the code once more.
func endedGrant(c *rawClient) fixturePair {
	c.t.Helper()
	a := c.begin(c.resource)
	code := a.code()
	got := c.tokensOf(a.redeem(code))
	if again := a.redeem(code); again.status != http.StatusBadRequest {
		c.t.Fatalf("a code worked twice: %d %s", again.status, again.body)
	}
	return pairOf(got)
}

// revokeEarlier signs the person in and revokes that: later sign-ins stand all the same.
func revokeEarlier(c *rawClient, text string) {
	c.t.Helper()
	c.signIn(c.resource)
	command(c.t, c.home, text, "revoke", "--person", anna)
}

// leaveLogin goes as far as the provider and no further.
func leaveLogin(c *rawClient) {
	c.t.Helper()
	b := c.browser()
	page := press(c.t, c.ctx, b, open(c.t, c.ctx, b, c.begin(c.resource).url()), mcptest.Continue)
	if page.URL.Host != c.emulator.addr {
		c.t.Fatalf("not at the provider but at %s: %q", page.URL, page.Text())
	}
}

// countRecords reads the table of `store check`.
func countRecords(t *testing.T, table, issuer string) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for _, kind := range vault.Kinds() {
		row := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(issuer) + `\s+` + string(kind) + `\s+([1-9]\d*)\s+0\s+0$`).FindStringSubmatch(table)
		if row == nil {
			t.Errorf("the fixture has no record of the kind %s: make one in this test\n%s", kind, table)
			continue
		}
		counts[string(kind)], _ = strconv.Atoi(row[1])
	}
	return counts
}

// write puts the store, its key and the tokens where they are kept.
func (f *fixtureTokens) write(t *testing.T, db string) {
	t.Helper()
	dir := filepath.Join(storeFixtures, *storeFixture)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"tokens.json": append(text, '\n')}
	for _, name := range []string{"records.db", "records.db.key"} {
		if files[name], err = os.ReadFile(filepath.Join(filepath.Dir(db), name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
