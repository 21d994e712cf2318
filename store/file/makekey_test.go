// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

// Whoever comes second, having seen no key, must not replace the first one's.
func TestSec_H08_MakeKeyReplacesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db.key")
	wantNil(t, makeKey(path, bytes.NewReader(bytes.Repeat([]byte{1}, seal.KeySize))))
	first, err := os.ReadFile(path)
	wantNil(t, err)
	wantNil(t, makeKey(path, bytes.NewReader(bytes.Repeat([]byte{2}, seal.KeySize))))
	second, err := os.ReadFile(path)
	wantNil(t, err)
	if !bytes.Equal(first, second) {
		t.Error("the second key replaced the first")
	}
}
