// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/file"
)

// The test binary runs itself as a child with these in its environment.
const (
	childWrites = "MCPOAUTH_TEST_WRITE_STORE"
	childKey    = "MCPOAUTH_TEST_MAKE_KEY"
	childRound  = "MCPOAUTH_TEST_ROUND"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(childWrites) != "":
		fail(writeForever(os.Getenv(childWrites), os.Getenv(childRound)))
	case os.Getenv(childLogins) != "":
		fail(signInForever(os.Getenv(childLogins), os.Getenv(childFailpoint)))
	case os.Getenv(childKey) != "":
		fail(makeKeyWhenTold(os.Getenv(childKey)))
	default:
		os.Exit(m.Run())
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// The life of a record in the kill test: created, updated, and some are deleted.
const (
	created = 1
	updated = 2
	deleted = 3
)

const (
	kills       = 25
	killWriters = 8
)

func killRecord(round, writer, n, step int) store.Record {
	sum := sha256.Sum256(fmt.Append(nil, round, writer, n))
	return store.Record{
		Key:     store.Key{Site: "0011223344556677", Kind: "grant", ID: hex.EncodeToString(sum[:])},
		Version: store.Version{byte(step)},
		Person:  store.Index{1},
		Expires: time.Unix(1<<33, 0),
		Value:   sum[:],
	}
}

// writeForever prints "round writer n step" for every write that was acknowledged.
func writeForever(path, round string) error {
	s, err := file.Open(path, store.Env{Now: clock.System})
	if err != nil {
		return err
	}
	var r int
	if _, err := fmt.Sscan(round, &r); err != nil {
		return err
	}
	var wg sync.WaitGroup
	for w := range killWriters {
		wg.Go(func() {
			for n := 0; ; n++ {
				for step := created; step <= deleted; step++ {
					if step == deleted && n%3 != 0 {
						continue
					}
					if err := take(s, r, w, n, step); err != nil {
						fail(err)
					}
					fmt.Println(r, w, n, step)
				}
			}
		})
	}
	wg.Wait()
	return nil
}

func take(s store.Store, round, writer, n, step int) error {
	rec := killRecord(round, writer, n, step)
	switch step {
	case created:
		return s.Create(context.Background(), rec)
	case updated:
		return s.Update(context.Background(), rec, store.Version{created})
	default:
		return s.Delete(context.Background(), rec.Key, store.Version{updated})
	}
}

func child(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	return cmd
}

// A process that is killed while it writes has lost nothing that it had acknowledged,
// and nothing is half done.
func TestSec_N13_Kill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	acknowledged := make(map[[3]int]int)
	for round := range kills {
		killed(t, path, round, 40+37*(round%7), acknowledged)
		s := mustOpen(t, path, env())
		for key, step := range acknowledged {
			checkStep(t, s, key, step)
		}
		if all, byPerson := count(t, s, store.Index{}), count(t, s, store.Index{1}); all != byPerson {
			t.Fatalf("%d records, and %d in the index", all, byPerson)
		}
		closed(t, s)
	}
	if len(acknowledged) < kills*killWriters {
		t.Fatalf("only %d records were written", len(acknowledged))
	}
}

// killed runs a child until it has acknowledged some writes, kills it and notes the last
// step that it acknowledged for each record.
func killed(t *testing.T, path string, round, after int, acknowledged map[[3]int]int) {
	t.Helper()
	cmd := child(t, childWrites+"="+path, fmt.Sprintf("%s=%d", childRound, round))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	seen := 0
	for ; lines.Scan(); seen++ {
		var r, w, n, step int
		// The last line may be cut.
		if _, err := fmt.Sscanf(lines.Text(), "%d %d %d %d", &r, &w, &n, &step); err == nil {
			acknowledged[[3]int{r, w, n}] = step
		}
		if seen == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || seen < after {
		t.Fatalf("the child ended by itself after %d lines: %v", seen, err)
	}
}

// checkStep allows for one step more than was acknowledged: the one under way.
func checkStep(t *testing.T, s store.Store, key [3]int, step int) {
	t.Helper()
	want := killRecord(key[0], key[1], key[2], step)
	got, err := s.Get(t.Context(), want.Key)
	absent := errors.Is(err, store.ErrNotFound)
	if err != nil && !absent {
		t.Fatal(err)
	}
	mayBeGone := step == deleted || step == updated && key[2]%3 == 0
	mayBeThere := step != deleted
	switch {
	case absent && !mayBeGone:
		t.Fatalf("record %v is lost after step %d", key, step)
	case !absent && !mayBeThere:
		t.Fatalf("record %v is back after step %d", key, step)
	case !absent && got.Version[0] != byte(step) && got.Version[0] != byte(step+1):
		t.Fatalf("record %v is at step %d after step %d", key, got.Version[0], step)
	case !absent && string(got.Value) != string(want.Value):
		t.Fatalf("record %v has another value", key)
	}
}

func count(t *testing.T, s store.Store, person store.Index) int {
	t.Helper()
	q := store.Query{Site: "0011223344556677", Kind: "grant", Person: person}
	for n := 0; ; {
		page, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		n += len(page.Records)
		if page.Next == "" {
			return n
		}
		q.After = page.Next
	}
}

// makeKeyWhenTold waits for its input to end, so that many children start at once.
func makeKeyWhenTold(path string) error {
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	key, err := file.NewKey(path+".key", rand.Reader)
	if err != nil {
		return err
	}
	fmt.Printf("%x", key)
	return nil
}
