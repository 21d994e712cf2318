// SPDX-License-Identifier: Apache-2.0

// Package seal is the cryptography of the project and nothing else: which key is
// derived from which, and how bytes are laid out. It keeps no state, reads no clock and
// touches no store.
//
// A master key (the administrator's) seals one record, the keyring. The keyring holds
// random roots; from the active root come the keys for records, login tokens, state
// handles, binding cookies and token MACs. Every sealed thing names its key in clear, so
// nothing is ever opened by trial, and its key and its additional data say what it is
// and where it belongs, so nothing opens in another's place.
//
// The layouts are stored and sent formats. They do not change; a new one gets a new
// version byte. The vectors in this package's tests were computed by another
// implementation.
//
// AES-256-GCM, HMAC and HKDF with SHA-256, all from the standard library. Wherever
// fields of variable length meet, each is preceded by its length.
package seal
