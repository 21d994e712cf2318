// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// adminKeys are the keys of one site as the admin API has them, by use.
func adminKeys(t *testing.T, method, path, body string) map[string][]keyInfo {
	t.Helper()
	w, apiErr := adminCall(t, method, path, body)
	if apiErr != nil {
		t.Fatal(apiErr)
	}
	var all []siteKeys
	if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil || len(all) != 1 {
		t.Fatalf("%s: %v", w.Body, err)
	}
	out := map[string][]keyInfo{}
	for _, k := range all[0].Keys {
		out[k.Use] = append(out[k.Use], k)
	}
	return out
}

func TestAdminKeys(t *testing.T) {
	const issuer = "https://keys.example.com/oauth"
	_, h := running(t, sited("keys.example.com", "tokens {\nbackend_jwt_alg ES256\n}"))
	query := "?issuer=" + issuer
	v := opened(t, h).vault
	if _, err := v.Keyring(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := adminKeys(t, http.MethodGet, "/mcp_oauth/keys"+query, "")
	if len(before[useMaster]) != 1 || len(before[useSigning]) != 1 || len(before[useRoot]) != 1 || before[useSigning][0].Alg != "ES256" {
		t.Fatalf("keys %+v", before)
	}
	planned := adminKeys(t, http.MethodPost, "/mcp_oauth/keys/rotate"+query, `{"now":false}`)
	if s := planned[useSigning]; len(s) != 2 || s[0].State != "active" || s[1].State != "next" || len(planned[useRoot]) != 2 {
		t.Errorf("after a rotation began: %+v", planned)
	}
	after := adminKeys(t, http.MethodPost, "/mcp_oauth/keys/rotate"+query, `{"now":true}`)
	if s := after[useSigning]; len(s) != 1 || s[0].State != "active" || s[0].KID == before[useSigning][0].KID || s[0].KID == planned[useSigning][1].KID {
		t.Errorf("after an emergency: %+v", after)
	}
	if key, ok := v.Loaded().ActiveSigning(); !ok || key.KID != after[useSigning][0].KID {
		t.Errorf("the site works with %v", key)
	}

	for _, body := range []string{"", "now", `{"soon":true}`} {
		wantAdminError(t, http.MethodPost, "/mcp_oauth/keys/rotate"+query, body, http.StatusBadRequest, "how to rotate")
	}
	wantAdminError(t, http.MethodGet, "/mcp_oauth/keys/rotate"+query, "", http.StatusMethodNotAllowed, "use POST")
	wantAdminError(t, http.MethodPost, "/mcp_oauth/keys"+query, "", http.StatusMethodNotAllowed, "use GET")
	wantAdminError(t, http.MethodGet, "/mcp_oauth/keys?issuer=https://other.example", "", http.StatusNotFound, "no mcp_oauth site")
	wantAdminError(t, http.MethodPost, "/mcp_oauth/keys/rotate?issuer=https://other.example", "", http.StatusNotFound, "no mcp_oauth site")
}

// Whoever lists keys learns no private part of any of them.
func TestSec_O01_ListedKeysArePublic(t *testing.T) {
	_, h := running(t, sited("keys2.example.com"))
	ring, err := opened(t, h).vault.Keyring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w, apiErr := adminCall(t, http.MethodGet, "/mcp_oauth/keys?issuer=https://keys2.example.com/oauth", "")
	if apiErr != nil {
		t.Fatal(apiErr)
	}
	for _, secret := range [][]byte{ring.Index.Bytes(), ring.Roots[0].Secret.Bytes(), ring.Signing[0].PKCS8()[40:72]} {
		for _, text := range []string{base64.StdEncoding.EncodeToString(secret)[:20], base64.RawURLEncoding.EncodeToString(secret)[:20]} {
			if strings.Contains(w.Body.String(), text) {
				t.Errorf("%s has %s", w.Body, text)
			}
		}
	}
	if w.Body.Len() > 1<<10 {
		t.Errorf("%d bytes about three keys", w.Body.Len())
	}
}

// Looking for keys makes none.
func TestKeysOfASiteWithoutAny(t *testing.T) {
	s := siteOver(t, &fakeStore{})
	sel := &selection{store: s.store, sites: []*site{s}}
	if _, err := sel.keys(t.Context(), inspecting); !errors.Is(err, vault.ErrNoKeys) {
		t.Errorf("keys: %v", err)
	}
	if _, err := sel.rotateKeys(t.Context(), inspecting, true); !errors.Is(err, vault.ErrNoKeys) {
		t.Errorf("rotate: %v", err)
	}
	var api caddy.APIError
	if err := apiError(vault.ErrNoKeys); !errors.As(err, &api) || api.HTTPStatus != http.StatusConflict {
		t.Errorf("as an answer: %v", err)
	}
}

func TestPrintKeys(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	made := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	all := []siteKeys{{Issuer: "https://a.example", Keys: []keyInfo{
		{Use: useMaster, KID: "0251a1", State: "seals"},
		{Use: useSigning, KID: "k", Alg: "RS256", State: "active", Created: made, Until: made.AddDate(0, 3, 0)},
	}}}
	if err := printKeys(&out, all, nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"issuer", "https://a.example  encryption_key  0251a1  -      seals   -                     -", "k       RS256  active  2026-01-02T03:04:05Z", "2026-04-02T03:04:05Z\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if err := printKeys(&out, nil, vault.ErrNoKeys); !errors.Is(err, vault.ErrNoKeys) {
		t.Errorf("an error became %v", err)
	}
	for age, want := range map[time.Duration]string{90 * time.Second: "1m30s", 90*time.Minute + time.Second: "1h30m", 50 * time.Hour: "2d"} {
		if got := brief(age.Truncate(ageStep(age))); got != want {
			t.Errorf("%v is told as %s, want %s", age, got, want)
		}
	}
}

// Keys that another node replaced in an emergency are followed: at once where the store
// tells, else within the round. What was signed by a key that is gone is forgotten, and
// only then.
func TestSec_H07_EmergencyOfAnotherNode(t *testing.T) {
	t.Parallel()
	for name, tells := range map[string]bool{"told": true, "not told": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, w, r, target := attended(t)
				sv := s.serve(t, r)
				synctest.Wait()
				if _, err := sv.vault.Keyring(t.Context()); err != nil {
					t.Fatal(err)
				}
				other, err := s.inspector(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				passes := func(renew func() error) int {
					t.Helper()
					stream(t, sv.guard, target)
					if err := renew(); err != nil {
						t.Fatal(err)
					}
					if tells {
						w.reports <- store.Key{Site: sv.vault.Site().String(), Kind: vault.KeyringKind, ID: "x"}
					} else {
						<-time.After(followEvery)
					}
					synctest.Wait()
					return sv.guard.Len()
				}
				if n := passes(func() error { return other.Renew(t.Context()) }); n != 1 {
					t.Errorf("%d answers after a rotation that began", n)
				}
				if n := passes(func() error { return other.RenewNow(t.Context()) }); n != 0 {
					t.Errorf("%d answers after an emergency", n)
				}
				mine, _ := sv.vault.Loaded().ActiveSigning()
				theirs, _ := other.Loaded().ActiveSigning()
				if mine.KID != theirs.KID {
					t.Errorf("this node signs with %s, the other with %s", mine.KID, theirs.KID)
				}
				s.start.Do(func() { close(s.done) })
				_ = s.Destruct()
			})
		})
	}
}

// audited is a store that keeps an audit trail.
type audited struct {
	store.Store
	mu    sync.Mutex
	modes []string
}

func (a *audited) Append(_ context.Context, entries []store.AuditEntry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range entries {
		a.modes = append(a.modes, e.Event+" "+e.Mode)
	}
	return nil
}

func (*audited) Find(context.Context, store.AuditQuery) ([]store.AuditEntry, error) { return nil, nil }

func (*audited) Prune(context.Context, time.Time, int) (int, error) { return 0, nil }

// A command that opens the store by itself leaves a trail there before it ends.
func TestRotationWithoutAServerIsAudited(t *testing.T) {
	t.Parallel()
	var a *audited
	s := siteOver(t, &fakeStore{wrap: func(inner store.Store) store.Store {
		a = &audited{Store: inner}
		return a
	}})
	v, err := s.inspector(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Keyring(t.Context()); err != nil {
		t.Fatal(err)
	}
	local := &localStore{&selection{store: s.store, sites: []*site{s}}}
	if _, err := local.keys(); err != nil {
		t.Error(err)
	}
	for _, now := range []bool{false, true} {
		if _, err := local.rotate(now); err != nil {
			t.Error(err)
		}
	}
	if err := local.close(); err != nil {
		t.Error(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if want := []string{"keyring_rotated signing_next", "keyring_rotated root_active", "keyring_rotated all_replaced"}; !slices.Equal(a.modes, want) {
		t.Errorf("audited %q", a.modes)
	}
}
