// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"crypto/rand"
	"testing"
)

func BenchmarkMint(b *testing.B) {
	root := testRoot(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Mint(rand.Reader, root, testSite, Access, testID, 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseAndVerify(b *testing.B) {
	root, text := testRoot(b), vectors[Access].text
	b.ReportAllocs()
	for b.Loop() {
		if token, ok := Parse(Access, text); !ok || !token.Verify(root, testSite) {
			b.Fatal("refused")
		}
	}
}

func BenchmarkHash(b *testing.B) {
	text := vectors[Access].text
	b.ReportAllocs()
	for b.Loop() {
		Hash(text)
	}
}
