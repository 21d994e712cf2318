// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"
)

// The inputs of all vectors. The expected values were computed by a separate program in
// another language from the description of the formats, not by this package.
const testIssuer = "https://mcp.example.com/oauth" // Site d7365de962b73980

// count returns n bytes that count up from first.
func count(first, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(first + i)
	}
	return b
}

func mustKey(t testing.TB, first int) Key {
	t.Helper()
	k, err := NewKey(count(first, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustMaster(t testing.TB, first int) Master {
	t.Helper()
	m, err := NewMaster(count(first, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// testRoot is the root whose secret is 20, 21, … 3f.
func testRoot(t testing.TB) Root {
	t.Helper()
	r, err := NewRoot(bytes.NewReader(count(0x20, KeySize)), testTime)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var (
	testSite = SiteOf(testIssuer)
	testTime = time.Unix(1767323045, 0).UTC() // 2026-01-02T03:04:05Z
	testTID  = [16]byte(unhex("2cd1107829af745ba4a1b265c0ac86c7"))
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// testIndexRing has the index key 40, 41, … 5f.
func testIndexRing(t testing.TB) Keyring { return Keyring{Index: mustKey(t, 0x40)} }

func TestVectorsOfDerivations(t *testing.T) {
	t.Parallel()
	master, root := mustMaster(t, 0x00), testRoot(t)
	grant := KeyID("grant", "0123456789abcdef0123456789abcdef")
	keyring := KeyID("keyring", "keyring")
	ring := testIndexRing(t)
	person, client := ring.PersonIndex("tenant.object"), ring.ClientIndex("dcr_x")
	masterKID, rootKID := master.KID(), root.KID
	for _, v := range []struct {
		what string
		got  []byte
		want string
	}{
		{"site: first 8 bytes of SHA-256(issuer)", testSite[:], "d7365de962b73980"},
		{"master kid: HKDF(master, none, mcpo/v1/kid, 3)", masterKID[:], "6f34d6"},
		{
			"keyring key: HKDF(master, none, mcpo/v1/keyring | site, 32)", master.KeyringKey(testSite).Bytes(),
			"395609c1b4182a41deeda5680a3f74c0849e16611ea23c1a00eb2251637912a9",
		},
		{"root kid: HKDF(root, none, mcpo/v1/kid, 3)", rootKID[:], "de41c1"},
		{
			"login key: HKDF(root, none, mcpo/v1/login, 32)", root.LoginKey().Bytes(),
			"32bffb8c7396fef910de5357442f39b991b56074803edb8442545ce35d2fdbab",
		},
		{
			"state key: HKDF(root, none, mcpo/v1/state, 32)", root.StateKey().Bytes(),
			"71836a680265f1c9d70fca5b102ff4d33fa42b6dbe0d13e72c4baf39202b1032",
		},
		{
			"bind key: HKDF(root, none, mcpo/v1/bind, 32)", root.BindKey().Bytes(),
			"7bb549fb1d51b4808f7d1dc7365d0ce2cb3a1f851f3e6defaf75e55f64719570",
		},
		{
			"token key: HKDF(root, none, mcpo/v1/token, 32)", root.TokenKey().Bytes(),
			"40c65717f9397000bc074217012ed7845e5de4c336e4815ceb053326c1850f7e",
		},
		{
			"id of a grant: SHA-256(mcpo/v1/id | sized kind | natural id)", grant[:],
			"6f5ee3bc82d2a391969b3e19b05df0bfbaf2ff2fcff641609b1d40131ad1c639",
		},
		{
			"id of the keyring, whose natural id is keyring", keyring[:],
			"e2047bd07e04b42330ef63cf13c4371b5c3a3540c76d0fdd22852b2733e7934b",
		},
		{
			"record key: HKDF(root, none, mcpo/v1/record | site | sized kind | id, 32)",
			root.RecordKey(testSite, "grant", grant).Bytes(),
			"fa31be8fd49fc12235d18db63499a5259649c34e38a79fa06daf350d3eef8dd0",
		},
		{
			"person index: HMAC(index key, mcpo/v1/person | sized tenant.object)", person[:],
			"591d895fe8e630984c8f38157d5d5c8668b95313abf522ec08cb9a89c5a917dd",
		},
		{
			"client index: HMAC(index key, mcpo/v1/client | sized dcr_x)", client[:],
			"3ef47e60fc3f7d4ef36b0267f995ed709b71cf9b8f1c4bab5cc40842ef4238f0",
		},
	} {
		if got := hex.EncodeToString(v.got); got != v.want {
			t.Errorf("%s\n got %s\nwant %s", v.what, got, v.want)
		}
	}
}

func TestVectorFingerprint(t *testing.T) {
	t.Parallel()
	// HKDF(master, none, mcpo/v1/fp, 16), in ascending order.
	const low, high = "ba2b8372892e041190175bf9551b376f", "e0038118f459312af3c31b9ab2c1cfaa"
	a, b := mustMaster(t, 0x00), mustMaster(t, 0xe0)
	for _, v := range []struct {
		masters []Master
		want    string
	}{
		{nil, ""},
		{[]Master{a}, high},
		{[]Master{a, b}, low + high},
		{[]Master{b, a}, low + high},
	} {
		if got := Fingerprint(v.masters); got != v.want {
			t.Errorf("fingerprint of %v = %s, want %s", v.masters, got, v.want)
		}
	}
}

func TestVectorLoginToken(t *testing.T) {
	t.Parallel()
	// 01 | kid | salt 60…7f | GCM of the plaintext; key and nonce are
	// HKDF(login key, salt, mcpo/v1/login-token | site, 44).
	const want = "Ad5BwWBhYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ent8fX5_F-kxqm8vcRBYWlcVIV1HKsDhzT8NKETFpSdI3s-uT_jEdA"
	token, tid, err := SealLogin(bytes.NewReader(count(0x60, 32)), testRoot(t), testSite, []byte(`{"iat":1767323045}`))
	if err != nil || token != want {
		t.Errorf("login token\n got %s, %v\nwant %s", token, err, want)
	}
	// SHA-256(mcpo/v1/tid | salt), 16 bytes.
	if tid != testTID {
		t.Errorf("tid = %x, want %x", tid, testTID)
	}
}

func TestVectorsOfTheBrowser(t *testing.T) {
	t.Parallel()
	root := testRoot(t)
	formKey, err := NewFormKey(bytes.NewReader(count(0x80, 32)), testTime)
	if err != nil {
		t.Fatal(err)
	}
	if made, random, ok := ParseFormKey(formKey); !ok || made != testTime || random != [32]byte(count(0x80, 32)) {
		t.Errorf("form key of %v, %x, %t", made, random, ok)
	}
	for _, v := range []struct{ what, got, want string }{
		{
			"state handle: tid | HMAC(state key, mcpo/v1/state | site | tid)", root.StateHandle(testSite, testTID),
			"LNEQeCmvdFukobJlwKyGx3_CQqFpSpbpWEkhLQS6Jlsa1qAIKNOPSGs2JZHTO_9e",
		},
		{
			"form key: 01 | time, 4 bytes | 80…9f", formKey,
			"AWlXNaWAgYKDhIWGh4iJiouMjY6PkJGSk5SVlpeYmZqbnJ2enw",
		},
		{
			"binding: HMAC(bind key, mcpo/v1/bind | site | tid | a0…bf)",
			root.Binding(testSite, testTID, [32]byte(count(0xa0, 32))),
			"-PeNzB2qS9lvGlLlCYuqc8CoxfSvUZtVI_j_ZGaGRhs",
		},
		{"form cookie", FormCookie(testSite, testTID, true), "__Host-mcpo_f_d7365de9_2cd1107829af745b"},
		{"binding cookie", BindingCookie(testSite, testTID, true), "__Host-mcpo_b_d7365de9_2cd1107829af745b"},
		{"form cookie on loopback", FormCookie(testSite, testTID, false), "mcpo_dev_f_d7365de9_2cd1107829af745b"},
		{"binding cookie on loopback", BindingCookie(testSite, testTID, false), "mcpo_dev_b_d7365de9_2cd1107829af745b"},
		{"prefix of form cookies", FormCookiePrefix(testSite, true), "__Host-mcpo_f_d7365de9_"},
	} {
		if v.got != v.want {
			t.Errorf("%s\n got %s\nwant %s", v.what, v.got, v.want)
		}
	}
}

// sample is a record of kind grant, sealed with nonce 01…0c.
func sample(t testing.TB) (Key, Binding, []byte) {
	t.Helper()
	root, ring := testRoot(t), testIndexRing(t)
	id := KeyID("grant", "0123456789abcdef0123456789abcdef")
	b := Binding{
		Site: testSite, Kind: "grant", ID: id, Version: [16]byte(count(0xd0, 16)),
		Person: ring.PersonIndex("tenant.object"), Client: ring.ClientIndex("dcr_x"),
	}
	key := root.RecordKey(testSite, "grant", id)
	envelope, err := Seal(bytes.NewReader(count(0x01, 12)), key, ClassRoot, root.KID, b, 1, []byte(samplePlaintext))
	if err != nil {
		t.Fatal(err)
	}
	return key, b, envelope
}

const samplePlaintext = `{"s":"mcp","exp":1767326645}`

func TestVectorEnvelope(t *testing.T) {
	t.Parallel()
	// MO | 01 | 01 | class 01 | kid | nonce | GCM of schema 01 and the plaintext.
	const want = "4d4f010101de41c10102030405060708090a0b0c915ff104d42b273ef29ae6eebcbbf09c" +
		"1bab8402d3c223404dd2f22011f2c0d736a7db200b4361f69ebfe4c222"
	if _, _, envelope := sample(t); hex.EncodeToString(envelope) != want {
		t.Errorf("envelope\n got %x\nwant %s", envelope, want)
	}
}
