// SPDX-License-Identifier: Apache-2.0

package entratest

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// guid returns a random GUID.
func (s *server) guid() string {
	b := []byte(s.random(16))
	sum := sha256.Sum256(b)
	return fmt.Sprintf("%x-%x-4%03x-8%03x-%x", sum[:4], sum[4:6], int(sum[6])<<4|int(sum[7])>>4, int(sum[8])<<4|int(sum[9])>>4, sum[10:16])
}

// pairwise is the sub of a person at one application (OpenID Connect Core §8.1).
func pairwise(client, object string) string {
	sum := sha256.Sum256([]byte(client + "\x00" + object))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
