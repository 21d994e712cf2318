// SPDX-License-Identifier: Apache-2.0

// Package vault keeps typed records in a store that sees only sealed bytes.
//
// A Vault owns the keyring of one site. It loads the keyring from the store or makes the
// first one, agrees on it with every other node, rotates what must rotate, and follows a
// change of the master key. On top of that, Create, Get, Update, Delete and List work
// with values of the caller's own types: each is JSON, sealed under a key of its own and
// bound to its place and to its version.
//
// Answers are of three kinds. store.ErrNotFound, store.ErrExists and store.ErrConflict
// are definite. Any other error means that the outcome is unknown: the store failed, the
// record was written by newer software, or it was tampered with (ErrTampered). Unknown is
// never a reason to tell a client that its token is bad.
package vault
