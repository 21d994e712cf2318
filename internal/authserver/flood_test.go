// SPDX-License-Identifier: Apache-2.0

//go:build !race

package authserver

// floodSize is how many requests the flood test sends: a million take some ten seconds.
const floodSize = 1_000_000
