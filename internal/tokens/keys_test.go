// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

var testBound = Bound{Site: testSite, Client: "dcr_x", Resource: "https://mcp.example.com/mcp"}

// testDEK is the data key 10, 11, … 2f.
func testDEK(t testing.TB) seal.Key {
	t.Helper()
	k, err := seal.NewKey(count(0x10, 32))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestVectorsOfKeysBehindTokens(t *testing.T) {
	t.Parallel()
	nonce := func() *bytes.Reader { return bytes.NewReader(count(0x01, 12)) }
	refresh, err := mint(t, Refresh).WrapKey(nonce(), testBound, testDEK(t))
	if err != nil {
		t.Fatal(err)
	}
	code, err := mint(t, Code).WrapKey(nonce(), testBound, testDEK(t))
	if err != nil {
		t.Fatal(err)
	}
	provider, err := SealProviderToken(nonce(), testDEK(t), testSite, testID, secret.New("provider-refresh-token"))
	if err != nil {
		t.Fatal(err)
	}
	successor, err := mint(t, Refresh).SealSuccessor(nonce(), testSite, testGen+1, []byte(`{"r":"next"}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		what string
		got  []byte
		want string
	}{
		{
			"wrap for a refresh token: nonce | GCM(KEK, data key), KEK = HKDF(token, salt id, " +
				"mcpo/v1/kek | type | site | generation | sized client | sized resource), AAD site | id | generation", refresh,
			"0102030405060708090a0b0c4b26fe0e6cf81ad8b5412bba629c0b0e5339f578768148d2e87459c499e1ab9a6408abdedbf773ebf7dfb138a36099e1",
		},
		{
			"wrap for a code, generation 0", code,
			"0102030405060708090a0b0cd8b2b7f06813d79969770f1c94b14616b88eaff69b9465a2d53ab0768695a9450156ab40d6c9196d0cc01c80a7deb522",
		},
		{
			"provider token: nonce | GCM(HKDF(data key, none, mcpo/v1/provider)), AAD site | id", provider,
			"0102030405060708090a0b0c7847b8c598ccbc2d0654219389c1e8671f00c0383e8a32699dab0f785e690767d26b3a422a00",
		},
		{
			"successor: nonce | GCM(HKDF(refresh token, salt id, mcpo/v1/successor | site | next generation)), " +
				"AAD site | id | next generation", successor,
			"0102030405060708090a0b0cd6d2b9fb66480f6aeace2f66dceb980481899a934098b62c5928482e",
		},
	} {
		if got := hex.EncodeToString(v.got); got != v.want {
			t.Errorf("%s\n got %s\nwant %s", v.what, got, v.want)
		}
	}
}

func TestSec_N07_WrappedKeyNeedsItsToken(t *testing.T) {
	t.Parallel()
	holder := mint(t, Refresh)
	wrapped, err := holder.WrapKey(rand.Reader, testBound, testDEK(t))
	if err != nil {
		t.Fatal(err)
	}
	// What the client sends is enough, the minted Token is not needed.
	shown, _ := Parse(Refresh, holder.Text().Reveal())
	if dek, err := shown.UnwrapKey(testBound, wrapped); err != nil || !dek.Equal(testDEK(t)) {
		t.Fatalf("unwrap: %v", err)
	}
	other, err := Mint(rand.Reader, testRoot(t), testSite, Refresh, testID, testGen)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(wrapped)
	flipped[20] ^= 1
	for _, c := range []struct {
		what    string
		token   Token
		bound   Bound
		wrapped []byte
	}{
		{"another token of the same grant and generation", other, testBound, wrapped},
		{"the access token", mint(t, Access), testBound, wrapped},
		{"another site", holder, Bound{seal.Site{}, testBound.Client, testBound.Resource}, wrapped},
		{"another client", holder, Bound{testSite, "dcr_y", testBound.Resource}, wrapped},
		{"another resource", holder, Bound{testSite, testBound.Client, "https://mcp.example.com/other"}, wrapped},
		{"client and resource divided elsewhere", holder, Bound{testSite, "dcr_xh", "ttps://mcp.example.com/mcp"}, wrapped},
		{"a flipped bit", holder, testBound, flipped},
		{"the zero token", Token{}, testBound, wrapped},
		{"nothing", holder, testBound, nil},
	} {
		if _, err := c.token.UnwrapKey(c.bound, c.wrapped); err == nil {
			t.Errorf("%s opened the data key", c.what)
		}
	}
}

func TestZeroTokenHoldsNothing(t *testing.T) {
	t.Parallel()
	if _, err := (Token{Type: Refresh}).WrapKey(rand.Reader, testBound, testDEK(t)); err == nil {
		t.Error("wrapped a key for everybody")
	}
	if _, err := (Token{Type: Refresh}).SealSuccessor(rand.Reader, testSite, 1, nil); err == nil {
		t.Error("sealed a successor for everybody")
	}
}

func TestProviderToken(t *testing.T) {
	t.Parallel()
	dek, err := NewDataKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := SealProviderToken(rand.Reader, dek, testSite, testID, secret.New("upstream"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenProviderToken(dek, testSite, testID, sealed); err != nil || got.Reveal() != "upstream" {
		t.Errorf("opened %v, %v", got, err)
	}
	for what, open := range map[string]func() (secret.String, error){
		"key":   func() (secret.String, error) { return OpenProviderToken(testDEK(t), testSite, testID, sealed) },
		"site":  func() (secret.String, error) { return OpenProviderToken(dek, seal.Site{}, testID, sealed) },
		"grant": func() (secret.String, error) { return OpenProviderToken(dek, testSite, ID{}, sealed) },
	} {
		if _, err := open(); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("another %s: %v", what, err)
		}
	}
}

func TestSuccessor(t *testing.T) {
	t.Parallel()
	prev := mint(t, Refresh)
	sealed, err := prev.SealSuccessor(rand.Reader, testSite, testGen+1, []byte("pair"))
	if err != nil {
		t.Fatal(err)
	}
	shown, _ := Parse(Refresh, prev.Text().Reveal())
	if got, err := shown.OpenSuccessor(testSite, testGen+1, sealed); err != nil || string(got) != "pair" {
		t.Errorf("opened %s, %v", got, err)
	}
	other, err := Mint(rand.Reader, testRoot(t), testSite, Refresh, testID, testGen)
	if err != nil {
		t.Fatal(err)
	}
	for what, open := range map[string]func() ([]byte, error){
		"token":      func() ([]byte, error) { return other.OpenSuccessor(testSite, testGen+1, sealed) },
		"site":       func() ([]byte, error) { return prev.OpenSuccessor(seal.Site{}, testGen+1, sealed) },
		"generation": func() ([]byte, error) { return prev.OpenSuccessor(testSite, testGen+2, sealed) },
	} {
		if _, err := open(); !errors.Is(err, seal.ErrOpen) {
			t.Errorf("another %s: %v", what, err)
		}
	}
	for _, typ := range []Type{Access, Code} {
		if _, err := mint(t, typ).SealSuccessor(rand.Reader, testSite, 8, nil); err == nil {
			t.Errorf("type %c has a successor", typ)
		}
		if _, err := mint(t, typ).OpenSuccessor(testSite, 8, sealed); err == nil {
			t.Errorf("type %c opens a successor", typ)
		}
	}
}

func BenchmarkWrapKey(b *testing.B) {
	token, dek := mint(b, Refresh), testDEK(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := token.WrapKey(rand.Reader, testBound, dek); err != nil {
			b.Fatal(err)
		}
	}
}
