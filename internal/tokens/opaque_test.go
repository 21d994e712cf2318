// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
)

// The inputs of all vectors. The expected values were computed by a separate program in
// another language from the description of the formats, not by this package.
var (
	testSite = seal.SiteOf("https://mcp.example.com/oauth")
	testID   = ID(count(0xb0, 16))
	testTime = time.Unix(1767323045, 0).UTC()
)

const testGen = 7

// count returns n bytes that count up from first.
func count(first, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(first + i)
	}
	return b
}

// testRoot is the root whose secret is 20, 21, … 3f; its kid is de41c1.
func testRoot(t testing.TB) seal.Root {
	t.Helper()
	r, err := seal.NewRoot(bytes.NewReader(count(0x20, 32)), testTime)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mint makes the token of a type whose secret is c0, c1, … df.
func mint(t testing.TB, typ Type) Token {
	t.Helper()
	gen := uint32(testGen)
	if typ == Code {
		gen = 0
	}
	token, err := Mint(bytes.NewReader(count(0xc0, 32)), testRoot(t), testSite, typ, testID, gen)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Prefix, then base64url of 01 | kid | id | generation | secret |
// HMAC(token key, mcpo/v1/token | type | site | first 24 bytes | SHA-256(secret)), 16 bytes.
// The hash is SHA-256 of the whole text.
var vectors = map[Type]struct{ text, hash string }{
	Access: {
		"mcpo_at_Ad5BwbCxsrO0tba3uLm6u7y9vr8AAAAHwMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t9iJGowQ7s4U0AqDls8VBcX",
		"ed6a408f269d5e5051f35fe6df33871c2e570a077d8d99003cb6a0f5d0a9004c",
	},
	Refresh: {
		"mcpo_rt_Ad5BwbCxsrO0tba3uLm6u7y9vr8AAAAHwMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t-GCssN2cS9prVb7CZtixXy",
		"dc27670c199060b5ef3979a2a6e541cce19181e291673c7c0aaff9f70e91b4a8",
	},
	Code: {
		"mcpo_ac_Ad5BwbCxsrO0tba3uLm6u7y9vr8AAAAAwMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t8IuaO1ZIvipSk1Ex1CmIE0",
		"382584b22c8f95bd61cc78772dc1afc7b99c63385b8cf07b82144cdfefbb7c0e",
	},
}

func TestVectorsOfTokens(t *testing.T) {
	t.Parallel()
	for typ, want := range vectors {
		token := mint(t, typ)
		if got := token.Text().Reveal(); got != want.text {
			t.Errorf("%c\n got %s\nwant %s", typ, got, want.text)
		}
		if hash := token.Hash(); hex.EncodeToString(hash[:]) != want.hash {
			t.Errorf("%c: hash %x, want %s", typ, hash, want.hash)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for typ, vector := range vectors {
		token, ok := Parse(typ, vector.text)
		if !ok {
			t.Fatalf("%c does not parse", typ)
		}
		gen := uint32(testGen)
		if typ == Code {
			gen = 0
		}
		if token.Type != typ || token.ID != testID || token.Gen != gen || token.KID.String() != "de41c1" {
			t.Errorf("parsed %v", token)
		}
		if !token.Verify(testRoot(t), testSite) {
			t.Errorf("%c does not verify", typ)
		}
		if token.Hash() != Hash(vector.text) || token.Text().Reveal() != vector.text {
			t.Errorf("%c: other text or hash", typ)
		}
	}
}

func TestSec_H03_TypesDoNotMix(t *testing.T) {
	t.Parallel()
	root := testRoot(t)
	types := []Type{Access, Refresh, Code}
	for _, is := range types {
		text := vectors[is].text
		for _, as := range types {
			if as == is {
				continue
			}
			if _, ok := Parse(as, text); ok {
				t.Errorf("%c parses as %c", is, as)
			}
			// With the prefix of the other type the MAC is wrong.
			relabelled := as.prefix() + text[prefixLen:]
			if token, ok := Parse(as, relabelled); !ok || token.Verify(root, testSite) {
				t.Errorf("%c relabelled as %c: parses %t, verifies", is, as, ok)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := vectors[Access].text
	body := good[prefixLen:]
	version2 := bytes.Clone(count(0, encodedSize))
	version2[0] = 2
	for what, text := range map[string]string{
		"empty":             "",
		"prefix alone":      "mcpo_at_",
		"short":             good[:Length-1],
		"long":              good + "A",
		"padding":           good[:Length-1] + "=",
		"line break":        good[:Length-1] + "\n",
		"line break within": good[:50] + "\r" + good[51:],
		"standard alphabet": good[:50] + "+" + good[51:],
		"space":             " " + good[1:],
		"upper-case prefix": "MCPO_AT_" + body,
		"other prefix":      "mcpo_xx_" + body,
		"no prefix":         body + "AAAAAAAA",
		"version 2":         "mcpo_at_" + base64.RawURLEncoding.EncodeToString(version2),
		"version 0":         "mcpo_at_" + strings.Repeat("A", 96),
		"not ASCII":         good[:50] + "é" + good[52:],
		"NUL":               good[:50] + "\x00" + good[51:],
	} {
		if _, ok := Parse(Access, text); ok {
			t.Errorf("%s: %q parses", what, text)
		}
	}
	if _, ok := Parse(Type('x'), good); ok {
		t.Error("parsed as a type that does not exist")
	}
}

func TestVerifyRefusesEveryFlippedBit(t *testing.T) {
	t.Parallel()
	root := testRoot(t)
	raw, err := base64.RawURLEncoding.DecodeString(vectors[Refresh].text[prefixLen:])
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(raw) * 8 {
		changed := bytes.Clone(raw)
		changed[i/8] ^= 1 << (i % 8)
		token, ok := Parse(Refresh, "mcpo_rt_"+base64.RawURLEncoding.EncodeToString(changed))
		if ok && token.Verify(root, testSite) {
			t.Fatalf("bit %d flipped: verifies", i)
		}
	}
}

func TestSec_J24_VerifyElsewhere(t *testing.T) {
	t.Parallel()
	token, root := mint(t, Access), testRoot(t)
	if token.Verify(root, seal.SiteOf("https://other.example.com/oauth")) {
		t.Error("another site accepts the token")
	}
	other := root
	other.Secret = seal.Key{}
	other.KID = seal.KID{1, 2, 3}
	if token.Verify(other, testSite) {
		t.Error("a root of another kid accepts the token")
	}
	sameKID, err := seal.NewRoot(rand.Reader, testTime)
	if err != nil {
		t.Fatal(err)
	}
	sameKID.KID = root.KID
	if token.Verify(sameKID, testSite) {
		t.Error("another root of the same kid accepts the token")
	}
	if (Token{}).Verify(root, testSite) {
		t.Error("the zero token verifies")
	}
}

func TestTokensDiffer(t *testing.T) {
	t.Parallel()
	root, seen := testRoot(t), map[string]bool{}
	for range 1000 {
		token, err := Mint(rand.Reader, root, testSite, Access, testID, 1)
		if err != nil {
			t.Fatal(err)
		}
		text := token.Text().Reveal()
		if seen[text] || len(text) != Length {
			t.Fatalf("%s again, or not %d characters", text, Length)
		}
		seen[text] = true
	}
}

func TestMintRefuses(t *testing.T) {
	t.Parallel()
	broken := iotest.ErrReader(errors.New("no entropy"))
	if _, err := Mint(broken, testRoot(t), testSite, Access, testID, 1); err == nil {
		t.Error("minted without randomness")
	}
	if _, err := Mint(rand.Reader, testRoot(t), testSite, Type('x'), testID, 1); err == nil {
		t.Error("minted a type that does not exist")
	}
	if _, err := NewID(broken); err == nil {
		t.Error("made an ID without randomness")
	}
	a, errA := NewID(rand.Reader)
	b, errB := NewID(rand.Reader)
	if errA != nil || errB != nil || a == b || len(a.String()) != 32 {
		t.Errorf("IDs %s, %s, %v, %v", a, b, errA, errB)
	}
}

func TestSec_N07_TokensNeverPrint(t *testing.T) {
	t.Parallel()
	token := mint(t, Refresh)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		out := fmt.Sprintf(verb, token) + fmt.Sprintf(verb, &token) + fmt.Sprintf(verb, []Token{token})
		if strings.Contains(out, vectors[Refresh].text[40:56]) {
			t.Errorf("%s prints the token: %s", verb, out)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range vectors {
		f.Add(v.text)
	}
	f.Add("mcpo_at_" + strings.Repeat("A", 96))
	f.Add("mcpo_at_" + strings.Repeat("\n", 96))
	f.Add("")
	root := testRoot(f)
	f.Fuzz(func(t *testing.T, text string) {
		for typ, vector := range vectors {
			token, ok := Parse(typ, text)
			if !ok {
				continue
			}
			if len(text) != Length || token.Text().Reveal() != text {
				t.Errorf("%q parses as %v", text, token)
			}
			if token.Verify(root, testSite) != (text == vector.text) {
				t.Errorf("%q verifies", text)
			}
		}
	})
}
