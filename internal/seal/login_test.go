// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// only returns a lookup that knows one root.
func only(r Root) func(KID) (Root, bool) {
	return func(kid KID) (Root, bool) { return r, kid == r.KID }
}

func sealLogin(t testing.TB, r Root) (string, [16]byte) {
	t.Helper()
	token, tid, err := SealLogin(rand.Reader, r, testSite, []byte(`{"iat":1}`))
	if err != nil {
		t.Fatal(err)
	}
	return token, tid
}

func TestLoginToken(t *testing.T) {
	t.Parallel()
	root := testRoot(t)
	token, tid := sealLogin(t, root)
	for _, state := range []RootState{RootActive, RootPrevious} {
		root.State = state
		plaintext, got, err := OpenLogin(only(root), testSite, token)
		if err != nil || got != tid || string(plaintext) != `{"iat":1}` {
			t.Errorf("%s: %s, %x, %v", state, plaintext, got, err)
		}
	}
}

func TestLoginTokenElsewhere(t *testing.T) {
	t.Parallel()
	root := testRoot(t)
	token, _ := sealLogin(t, root)
	other := Root{KID: root.KID, Secret: mustKey(t, 0x90), State: RootActive}
	retired := root
	retired.State = RootRetired
	for _, c := range []struct {
		what string
		root Root
		site Site
	}{
		{"another root of the same kid", other, testSite},
		{"a retired root", retired, testSite},
		{"another site", root, SiteOf("https://b.example/oauth")},
		{"an unknown kid", Root{KID: KID{1, 2, 3}, Secret: root.Secret, State: RootActive}, testSite},
	} {
		if _, _, err := OpenLogin(only(c.root), c.site, token); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

func TestSec_A11_NoChangedLoginTokenOpens(t *testing.T) {
	t.Parallel()
	root := testRoot(t)
	token, _ := sealLogin(t, root)
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(raw) * 8 {
		raw[i/8] ^= 1 << (i % 8)
		if _, _, err := OpenLogin(only(root), testSite, base64.RawURLEncoding.EncodeToString(raw)); err == nil {
			t.Fatalf("bit %d flipped: opened", i)
		}
		raw[i/8] ^= 1 << (i % 8)
	}
}

// A second spelling of a token would be a second token to whoever compares text.
func TestOneSpelling(t *testing.T) {
	t.Parallel()
	root := testRoot(t)
	// 36 + 10 + 16 bytes: the last character has spare bits.
	token, _, err := SealLogin(rand.Reader, root, testSite, []byte("0123456789"))
	if err != nil {
		t.Fatal(err)
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	for _, text := range []string{
		token + "=", token + "==", token + "\n", token[:8] + "\r\n" + token[8:], " " + token, token + "A",
		token[:len(token)-1] + string(alphabet[last|1]),
	} {
		if _, _, err := OpenLogin(only(root), testSite, text); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrOpen) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestStateHandle(t *testing.T) {
	t.Parallel()
	active, previous := testRoot(t), Root{KID: KID{1}, Secret: mustKey(t, 0x90), State: RootPrevious}
	roots := []Root{active, previous}
	for _, r := range roots {
		handle := r.StateHandle(testSite, testTID)
		if len(handle) != 64 {
			t.Errorf("handle of %d characters", len(handle))
		}
		if tid, ok := OpenStateHandle(roots, testSite, handle); !ok || tid != testTID {
			t.Errorf("root %s: %x, %t", r.KID, tid, ok)
		}
	}
}

func TestSec_A05_InventedStateHandles(t *testing.T) {
	t.Parallel()
	root := testRoot(t)
	good := root.StateHandle(testSite, testTID)
	stranger := Root{Secret: mustKey(t, 0x91)}
	cases := []string{
		"", good[:63], good + "A", good[:62] + "\n" + good[62:], good + "\n", strings.Repeat("A", 64),
		root.StateHandle(SiteOf("https://b.example/oauth"), testTID), stranger.StateHandle(testSite, testTID),
	}
	for i := range good {
		changed := []byte(good)
		changed[i] = 'A'
		if good[i] == 'A' {
			changed[i] = 'B'
		}
		cases = append(cases, string(changed))
	}
	for _, handle := range cases {
		if _, ok := OpenStateHandle([]Root{root}, testSite, handle); ok {
			t.Errorf("%q was accepted", handle)
		}
	}
	if _, ok := OpenStateHandle(nil, testSite, good); ok {
		t.Error("accepted without a root")
	}
}

func TestFormKey(t *testing.T) {
	t.Parallel()
	key, err := NewFormKey(rand.Reader, testTime)
	if err != nil {
		t.Fatal(err)
	}
	made, random, ok := ParseFormKey(key)
	if !ok || !made.Equal(testTime) || random == [32]byte{} {
		t.Errorf("made %v, random %x, %t", made, random, ok)
	}
	for _, text := range []string{"", key[1:], key + "A", "B" + key[1:], key[:49] + "\n", strings.Repeat("=", 50)} {
		if _, _, ok := ParseFormKey(text); ok {
			t.Errorf("%q parses", text)
		}
	}
}

func TestBindingDiffers(t *testing.T) {
	t.Parallel()
	root := testRoot(t)
	var random, otherRandom [32]byte
	otherRandom[0] = 1
	seen := map[string]string{}
	for what, value := range map[string]string{
		"first":        root.Binding(testSite, testTID, random),
		"other random": root.Binding(testSite, testTID, otherRandom),
		"other tid":    root.Binding(testSite, [16]byte{}, random),
		"other site":   root.Binding(Site{}, testTID, random),
		"other root":   Root{Secret: mustKey(t, 1)}.Binding(testSite, testTID, random),
	} {
		if len(value) != 43 {
			t.Errorf("%s: %d characters", what, len(value))
		}
		if same, ok := seen[value]; ok {
			t.Errorf("%s and %s are the same", what, same)
		}
		seen[value] = what
	}
}

func FuzzOpenLogin(f *testing.F) {
	root := testRoot(f)
	// Every process of a fuzzing run must make the same token.
	token, tid, err := SealLogin(bytes.NewReader(count(0x60, 32)), root, testSite, []byte(`{"iat":1}`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Add(token[:40])
	f.Add(token + "\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, in string) {
		_, got, err := OpenLogin(only(root), testSite, in)
		if err == nil && (in != token || got != tid) {
			t.Errorf("%q opened", in)
		}
		if err != nil && !errors.Is(err, ErrOpen) && !errors.Is(err, ErrMalformed) {
			t.Errorf("error %v", err)
		}
		if _, ok := OpenStateHandle([]Root{root}, testSite, in); ok {
			t.Errorf("%q is a state handle", in)
		}
		if made, _, ok := ParseFormKey(in); ok && len(in) != 50 {
			t.Errorf("%q is a form key of %v", in, made)
		}
	})
}
