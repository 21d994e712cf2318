// SPDX-License-Identifier: Apache-2.0

package seal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"
	"testing/iotest"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	key, b, envelope := sample(t)
	class, kid, err := Header(envelope)
	if err != nil || class != ClassRoot || kid != testRoot(t).KID {
		t.Errorf("header = %d, %s, %v", class, kid, err)
	}
	schema, plaintext, err := Open(key, envelope, b)
	if err != nil || schema != 1 || string(plaintext) != samplePlaintext {
		t.Errorf("open = %d, %s, %v", schema, plaintext, err)
	}
}

func TestSealAnEmptyPlaintext(t *testing.T) {
	t.Parallel()
	key, b, _ := sample(t)
	envelope, err := Seal(rand.Reader, key, ClassMaster, KID{}, b, 9, nil)
	if err != nil || len(envelope) != minEnvelope {
		t.Fatalf("envelope of %d bytes, %v", len(envelope), err)
	}
	schema, plaintext, err := Open(key, envelope, b)
	if err != nil || schema != 9 || len(plaintext) != 0 {
		t.Errorf("open = %d, %q, %v", schema, plaintext, err)
	}
}

func TestSec_N08_NoFlippedBitOpens(t *testing.T) {
	t.Parallel()
	key, b, envelope := sample(t)
	for i := range len(envelope) * 8 {
		changed := bytes.Clone(envelope)
		changed[i/8] ^= 1 << (i % 8)
		if _, _, err := Open(key, changed, b); !errors.Is(err, ErrOpen) && !errors.Is(err, ErrMalformed) {
			t.Fatalf("bit %d flipped: opened, %v", i, err)
		}
	}
}

func TestNoPartOpens(t *testing.T) {
	t.Parallel()
	key, b, envelope := sample(t)
	for n := range len(envelope) {
		if _, _, err := Open(key, envelope[:n], b); err == nil {
			t.Fatalf("the first %d bytes opened", n)
		}
	}
	if _, _, err := Open(key, append(bytes.Clone(envelope), 0), b); err == nil {
		t.Fatal("opened with a byte more")
	}
}

func TestSec_N03_NothingOpensElsewhere(t *testing.T) {
	t.Parallel()
	key, right, envelope := sample(t)
	for _, c := range []struct {
		where  string
		change func(*Binding)
	}{
		{"site", func(b *Binding) { b.Site = SiteOf("https://other.example.com/oauth") }},
		{"kind", func(b *Binding) { b.Kind = "code" }},
		{"no kind", func(b *Binding) { b.Kind = "" }},
		{"id", func(b *Binding) { b.ID[31] ^= 1 }},
		{"version", func(b *Binding) { b.Version[0] ^= 1 }},
		{"person", func(b *Binding) { b.Person[5] ^= 1 }},
		{"no person", func(b *Binding) { b.Person = [32]byte{} }},
		{"client", func(b *Binding) { b.Client[5] ^= 1 }},
		{"no client", func(b *Binding) { b.Client = [32]byte{} }},
		{"person and client swapped", func(b *Binding) { b.Person, b.Client = b.Client, b.Person }},
	} {
		b := right
		c.change(&b)
		if _, _, err := Open(key, envelope, b); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %v", c.where, err)
		}
	}
}

func TestSec_N03_RecordKeysDiffer(t *testing.T) {
	t.Parallel()
	root := testRoot(t)
	other, err := NewRoot(rand.Reader, testTime)
	if err != nil {
		t.Fatal(err)
	}
	id := KeyID("grant", "a")
	right := root.RecordKey(testSite, "grant", id)
	for name, key := range map[string]Key{
		"site": root.RecordKey(SiteOf("https://b.example"), "grant", id),
		"kind": root.RecordKey(testSite, "code", id),
		"id":   root.RecordKey(testSite, "grant", KeyID("grant", "b")),
		"root": other.RecordKey(testSite, "grant", id),
	} {
		if key.Equal(right) {
			t.Errorf("another %s has the same key", name)
		}
	}
}

func TestNoncesDiffer(t *testing.T) {
	t.Parallel()
	key, b, _ := sample(t)
	seen := make(map[string]bool)
	for range 10_000 {
		envelope, err := Seal(rand.Reader, key, ClassRoot, KID{}, b, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		nonce := string(envelope[headerSize : headerSize+nonceSize])
		if seen[nonce] {
			t.Fatal("a nonce came twice")
		}
		seen[nonce] = true
	}
}

func TestSealWithoutRandomness(t *testing.T) {
	t.Parallel()
	key, b, _ := sample(t)
	broken := iotest.ErrReader(errors.New("no entropy"))
	if _, err := Seal(broken, key, ClassRoot, KID{}, b, 1, nil); err == nil {
		t.Error("sealed without a nonce")
	}
	if _, _, err := SealLogin(broken, testRoot(t), testSite, nil); err == nil {
		t.Error("made a login token without a salt")
	}
	if _, err := NewFormKey(broken, testTime); err == nil {
		t.Error("made a form key without randomness")
	}
	if _, err := NewRoot(broken, testTime); err == nil {
		t.Error("made a root without randomness")
	}
}

func TestOpenSealedRefusesWhatIsTooShort(t *testing.T) {
	t.Parallel()
	for n := range nonceSize + tagSize {
		if _, err := OpenSealed(mustKey(t, 0), nil, make([]byte, n)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	key, b, envelope := sample(f)
	f.Add(envelope)
	f.Add(envelope[:headerSize])
	f.Add([]byte("MO\x01\x01"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		schema, plaintext, err := Open(key, in, b)
		if err != nil {
			if !errors.Is(err, ErrOpen) && !errors.Is(err, ErrMalformed) {
				t.Errorf("error %v", err)
			}
			return
		}
		if !bytes.Equal(in, envelope) || schema != 1 || string(plaintext) != samplePlaintext {
			t.Errorf("%x opened", in)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	root, id := testRoot(b), KeyID("grant", "a")
	bind := Binding{Site: testSite, Kind: "grant", ID: id}
	plaintext := make([]byte, 1024)
	b.ReportAllocs()
	b.SetBytes(int64(len(plaintext)))
	for b.Loop() {
		key := root.RecordKey(testSite, "grant", id)
		if _, err := Seal(rand.Reader, key, ClassRoot, root.KID, bind, 1, plaintext); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	root, id := testRoot(b), KeyID("grant", "a")
	bind := Binding{Site: testSite, Kind: "grant", ID: id}
	plaintext := make([]byte, 1024)
	envelope, err := Seal(rand.Reader, root.RecordKey(testSite, "grant", id), ClassRoot, root.KID, bind, 1, plaintext)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(plaintext)))
	for b.Loop() {
		key := root.RecordKey(testSite, "grant", id)
		if _, _, err := Open(key, envelope, bind); err != nil {
			b.Fatal(err)
		}
	}
}
