// SPDX-License-Identifier: Apache-2.0

package seal

import "crypto/hmac"

// StateHandle returns the state that goes to the provider: 64 characters that name a
// login and prove that this site made them, so an invented one costs no read.
func (r Root) StateHandle(s Site, tid [16]byte) string {
	mac := r.stateMAC(s, tid[:])
	return encode64(append(tid[:], mac[:]...))
}

func (r Root) stateMAC(s Site, tid []byte) [32]byte {
	return r.StateKey().HMAC([]byte("mcpo/v1/state"), s[:], tid)
}

// OpenStateHandle returns the login that a state handle names, provided that one of the
// roots made it. The roots are those of Keyring.BrowserRoots.
func OpenStateHandle(roots []Root, s Site, handle string) (tid [16]byte, ok bool) {
	b, ok := decode64(handle)
	if !ok || len(b) != len(tid)+32 {
		return tid, false
	}
	for _, r := range roots {
		want := r.stateMAC(s, b[:len(tid)])
		if hmac.Equal(want[:], b[len(tid):]) {
			return [16]byte(b), true
		}
	}
	return tid, false
}
