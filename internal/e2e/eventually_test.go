// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"
	"time"
)

// patience bounds what can hang, far above what anything takes.
const patience = 20 * time.Second

// receive returns the next value of c, and fails the test where none comes.
func receive[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: never happened", what)
		panic("unreachable")
	}
}

// eventually returns once done does, for what happens in another process in its own time.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline, again := time.After(patience), time.NewTicker(50*time.Millisecond)
	defer again.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("%s: never happened", what)
		}
	}
}
