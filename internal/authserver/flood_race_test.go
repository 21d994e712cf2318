// SPDX-License-Identifier: Apache-2.0

//go:build race

package authserver

// floodSize is smaller where every access to memory is watched.
const floodSize = 50_000
