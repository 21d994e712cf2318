// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
)

// loginKills is how often a process that signs people in is killed, in how many chains
// of processes that each follow one another on one file.
const (
	loginKills = 500
	killChains = 4
)

// TestSec_N13_KillDuringLogins kills a process at any moment while people sign in.
func TestSec_N13_KillDuringLogins(t *testing.T) {
	t.Parallel()
	var tokens, codes atomic.Int64
	t.Run("chains", func(t *testing.T) {
		for chain := range killChains {
			t.Run(fmt.Sprint(chain), func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "store.db")
				random := rand.New(rand.NewPCG(13, uint64(chain)))
				for range loginKills / killChains {
					seen := logins(t, path, random.IntN(60))
					checkLogins(t, path, seen)
					for _, c := range seen {
						codes.Add(1)
						if c.access != "" {
							tokens.Add(1)
						}
					}
				}
			})
		}
	})
	t.Logf("%d kills, %d codes, %d of them redeemed", loginKills, codes.Load(), tokens.Load())
	if tokens.Load() < loginKills {
		t.Errorf("only %d sign-ins were seen", tokens.Load())
	}
}

// TestSec_N13_Failpoints kills the process before and after every write of a sign-in and
// of a refresh, and around the commit of each.
func TestSec_N13_Failpoints(t *testing.T) {
	t.Parallel()
	// Keyring, login, end of login, code, consumption, grant, lease, refresh: eight writes
	// with five points each. Two more sign-ins follow at least, whose points come later.
	const points = 8 * 5
	for n := 1; n <= points+1; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "store.db")
			seen := logins(t, path, -1, fmt.Sprintf("%s=%d", childFailpoint, n))
			if (len(seen) == 1) != (n > 4*5) {
				t.Errorf("killed at point %d, when the client had %d codes", n, len(seen))
			}
			checkLogins(t, path, seen)
		})
	}
}

// signedIn is what a client has got for a code.
type signedIn struct{ access, refresh string }

// logins runs a child until it has printed so many lines, kills it, and returns what
// clients have got, by their code. A negative number waits for the child to end itself.
func logins(t *testing.T, path string, lines int, more ...string) map[string]signedIn {
	t.Helper()
	cmd := child(t, append(more, childLogins+"="+path)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]signedIn{}
	scanner := bufio.NewScanner(out)
	for n := 0; ; n++ {
		if n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		if !scanner.Scan() {
			break
		}
		var what, code, access, refresh string
		// The last line may be cut.
		if got, _ := fmt.Sscan(scanner.Text(), &what, &code, &access, &refresh); got < 4 || len(refresh) < 100 && what != "code" {
			continue
		}
		if what == "code" {
			access, refresh = "", ""
		}
		seen[code] = signedIn{access, refresh}
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return seen
}

// restarted is the clock of the next process. It starts when the right to ask the provider
// has ended that the killed one may have had.
func restarted() time.Time { return clock.System().Add(20 * time.Second) }

// checkLogins opens the store as the next process does. What a client has got is good;
// what it has not may be lost. No code is good twice.
func checkLogins(t *testing.T, path string, seen map[string]signedIn) {
	t.Helper()
	s := mustOpen(t, path, env())
	defer closed(t, s)
	g, err := service(s, restarted)
	if err != nil {
		t.Fatal(err)
	}
	for code, has := range seen {
		if has.access == "" {
			checkUnredeemed(t, g, code)
			continue
		}
		if _, err := g.Access(t.Context(), has.access); err != nil {
			t.Errorf("an access token that a client got: %v", err)
		}
		next, err := refresh(g, has.refresh)
		if err != nil {
			t.Fatalf("a refresh token that a client got: %v", err)
		}
		if _, err := g.Access(t.Context(), next.Access.Text().Reveal()); err != nil {
			t.Errorf("an access token after a refresh: %v", err)
		}
		if _, err := redeem(g, code); !refused(err) {
			t.Errorf("a code that was redeemed: %v", err)
		}
	}
}

// checkUnredeemed tries a code whose redemption may have begun. Where it was done, its
// answer is lost and the code is used up.
func checkUnredeemed(t *testing.T, g *grants.Service, code string) {
	t.Helper()
	first, err := redeem(g, code)
	if err != nil && !refused(err) {
		t.Errorf("a code: %v", err)
	}
	if first != nil {
		if _, err := g.Access(t.Context(), first.Access.Text().Reveal()); err != nil {
			t.Errorf("an access token of a code: %v", err)
		}
	}
	if _, err := redeem(g, code); !refused(err) {
		t.Errorf("a code for the second time: %v", err)
	}
}
