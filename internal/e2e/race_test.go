// SPDX-License-Identifier: Apache-2.0

//go:build race

package e2e

// raced tells whether the race detector is on, which makes everything about ten times as
// expensive.
const raced = true
