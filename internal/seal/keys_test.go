// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestParseMaster(t *testing.T) {
	t.Parallel()
	raw := count(0xe0, 32) // both alphabets differ here
	want := mustMaster(t, 0xe0).KID()
	for _, text := range []string{
		base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
		base64.StdEncoding.EncodeToString(raw) + "\n",
	} {
		if m, err := ParseMaster(text); err != nil || m.KID() != want {
			t.Errorf("%q: %v, %v", text, m, err)
		}
	}
	for _, text := range []string{
		"", "short", "correct horse battery staple, of 43 characters", hex.EncodeToString(raw),
		base64.StdEncoding.EncodeToString(raw[:31]), base64.StdEncoding.EncodeToString(append(raw, 0)),
	} {
		_, err := ParseMaster(text)
		if err == nil {
			t.Errorf("%q was accepted", text)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
}

func TestDuplicateKID(t *testing.T) {
	t.Parallel()
	a, b := mustMaster(t, 0), mustMaster(t, 1)
	if DuplicateKID(nil) || DuplicateKID([]Master{a, b}) {
		t.Error("different keys have one kid")
	}
	if !DuplicateKID([]Master{a, b, a}) {
		t.Error("the same key twice was not seen")
	}
}

func testKeyring(t testing.TB) Keyring {
	t.Helper()
	active := testRoot(t)
	previous := Root{KID: KID{1, 2, 3}, Secret: mustKey(t, 0x90), State: RootPrevious, Created: testTime, Replaced: testTime.Add(time.Hour)}
	retired := Root{KID: KID{4, 5, 6}, Secret: mustKey(t, 0xa0), State: RootRetired, Created: testTime, Replaced: testTime}
	next := NewSigningKey("two", "ES256", []byte("secret private key two"), testTime)
	signing := NewSigningKey("one", "RS256", []byte("secret private key one"), testTime)
	signing.State, signing.NotAfter = SigningActive, testTime.Add(time.Hour)
	return Keyring{
		Roots: []Root{retired, active, previous}, Index: mustKey(t, 0x40),
		Signing: []SigningKey{next, signing}, Resealed: testTime,
	}
}

func TestKeyringLookups(t *testing.T) {
	t.Parallel()
	k := testKeyring(t)
	if r, ok := k.ActiveRoot(); !ok || r.State != RootActive {
		t.Errorf("active root %v, %t", r, ok)
	}
	if r, ok := k.PreviousRoot(); !ok || r.KID != (KID{1, 2, 3}) {
		t.Errorf("previous root %v, %t", r, ok)
	}
	if r, ok := k.Root(KID{4, 5, 6}); !ok || r.State != RootRetired {
		t.Errorf("root 040506 %v, %t", r, ok)
	}
	if _, ok := k.Root(KID{9, 9, 9}); ok {
		t.Error("found a root that is not there")
	}
	if rs := k.BrowserRoots(); len(rs) != 2 || rs[0].State != RootActive || rs[1].State != RootPrevious {
		t.Errorf("browser roots %v", rs)
	}
	if s, ok := k.ActiveSigning(); !ok || s.KID != "one" {
		t.Errorf("active signing key %v, %t", s, ok)
	}
	if _, ok := (Keyring{}).ActiveSigning(); ok {
		t.Error("an empty keyring signs")
	}
	clone := k.Clone()
	clone.Roots[0].State, clone.Signing[0].State = RootActive, SigningActive
	if k.Roots[0].State != RootRetired || k.Signing[0].State != SigningNext {
		t.Error("a clone shares its lists")
	}
}

func TestKeyringEncoding(t *testing.T) {
	t.Parallel()
	k := testKeyring(t)
	for i, r := range k.Roots {
		k.Roots[i] = r.prepared()
	}
	b, err := k.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeKeyring(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, k) {
		t.Error("a keyring does not survive encoding")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"roots", "index", "signing", "resealed"} {
		if members[name] == nil {
			t.Errorf("no member %s", name)
		}
	}
}

func TestDecodeKeyringRefuses(t *testing.T) {
	t.Parallel()
	const (
		key   = `"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="`
		short = `"AAEC"`
		root  = `{"kid":"010203","secret":` + key + `,"state":"active","created":1}`
	)
	if _, err := DecodeKeyring([]byte(`{"roots":[` + root + `],"index":` + key + `,"later":1}`)); err != nil {
		t.Errorf("the smallest keyring: %v", err)
	}
	for what, text := range map[string]string{
		"no JSON":         `x`,
		"null":            `null`,
		"no index":        `{"roots":[` + root + `]}`,
		"short index":     `{"roots":[` + root + `],"index":` + short + `}`,
		"no root":         `{"index":` + key + `}`,
		"root twice":      `{"roots":[` + root + `,` + strings.Replace(root, "active", "retired", 1) + `],"index":` + key + `}`,
		"no active root":  `{"roots":[` + strings.Replace(root, "active", "retired", 1) + `],"index":` + key + `}`,
		"two active":      `{"roots":[` + root + `,` + strings.Replace(root, "010203", "010204", 1) + `],"index":` + key + `}`,
		"short secret":    `{"roots":[` + strings.Replace(root, key, short, 1) + `],"index":` + key + `}`,
		"kid is no hex":   `{"roots":[` + strings.Replace(root, "010203", "01020z", 1) + `],"index":` + key + `}`,
		"kid is too long": `{"roots":[` + strings.Replace(root, "010203", "01020304", 1) + `],"index":` + key + `}`,
	} {
		if _, err := DecodeKeyring([]byte(text)); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	if _, err := (Keyring{}).Encode(); err == nil {
		t.Error("an empty keyring was encoded")
	}
}

// holder has keys where fmt cannot call their methods.
type holder struct {
	key     Key
	master  Master
	root    Root
	ring    Keyring
	pointer *Keyring
	signing SigningKey
}

func TestSec_N07_KeysNeverPrint(t *testing.T) {
	t.Parallel()
	ring := testKeyring(t)
	h := holder{mustKey(t, 0x20), mustMaster(t, 0x20), testRoot(t), ring, &ring, ring.Signing[0]}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
		for _, value := range []any{
			h, &h, h.key, h.master, h.root, ring, &ring, h.signing,
			[]Key{h.key},
			map[string]Key{"k": h.key},
			ring.Roots, ring.Signing, &h.key,
		} {
			fmt.Fprintf(&out, verb+"\n", value)
		}
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("all", "key", h.key, "master", h.master, "root", h.root, "ring", ring, "signing", h.signing, "holder", h)
	}
	for _, value := range []any{h.key, h.root, ring, h.signing} {
		if b, err := json.Marshal(value); err == nil {
			out.Write(b)
		}
	}
	for _, raw := range [][]byte{
		h.key.Bytes(), ring.Index.Bytes(), ring.Roots[0].Secret.Bytes(), ring.Signing[0].PKCS8(), h.signing.PKCS8(),
	} {
		for _, spelling := range spellings(raw[:8]) {
			if i := strings.Index(out.String(), spelling); i >= 0 {
				t.Fatalf("printed a key as %q: …%s…", spelling, out.String()[max(0, i-80):i+40])
			}
		}
	}
}

// spellings returns ways in which bytes could show up in text.
func spellings(b []byte) []string {
	decimal := strings.Trim(fmt.Sprint(b), "[]")
	return []string{
		string(b), hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)),
		base64.StdEncoding.EncodeToString(b[:6]), decimal, strings.ReplaceAll(decimal, " ", ", "),
		strings.ReplaceAll(fmt.Sprintf("%#v", b), "[]byte{", "")[:20],
	}
}

func TestZeroKeyPanics(t *testing.T) {
	t.Parallel()
	for what, use := range map[string]func(){
		"HMAC":  func() { Key{}.HMAC() },
		"Bytes": func() { Key{}.Bytes() },
		"root":  func() { Root{}.StateHandle(testSite, testTID) },
		"index": func() { Keyring{}.PersonIndex("x") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s works with the zero key", what)
				}
			}()
			use()
		}()
	}
}

func TestKeysAreCopies(t *testing.T) {
	t.Parallel()
	raw := count(0, 32)
	k, err := NewKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	raw[0] = 0xff
	k.Bytes()[1] = 0xff
	if !bytes.Equal(k.Bytes(), count(0, 32)) {
		t.Error("the key changed with its source")
	}
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := NewKey(make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes", n)
		}
	}
	if _, err := json.Marshal(k); err == nil {
		t.Error("a key marshals")
	}
}

func TestSizedFieldsAreUnambiguous(t *testing.T) {
	t.Parallel()
	if KeyID("ab", "c") == KeyID("a", "bc") {
		t.Error("kind and id run together")
	}
	defer func() {
		if recover() == nil {
			t.Error("a field that is too long was cut")
		}
	}()
	AppendSized(nil, make([]byte, 65536))
}

// The states that are kept for it give the HMAC of the token key, one after the other and
// side by side.
func TestTokenMAC(t *testing.T) {
	t.Parallel()
	root, err := NewRoot(rand.Reader, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 100 {
				parts := [][]byte{[]byte("mcpo"), {byte(i)}}
				if root.TokenMAC(parts...) != root.TokenKey().HMAC(parts...) {
					t.Errorf("another MAC at %d", i)
				}
			}
		})
	}
	all.Wait()
}
