// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// LoginLife is how long a person has to come back from the provider.
const LoginLife = 10 * time.Minute

// What can be wrong with a login; each is a definite no.
var (
	// ErrLoginGone says that there is no such login, or no longer.
	ErrLoginGone = errors.New("grants: login unknown or expired")
	// ErrLoginUsed says that the login was already completed, here or elsewhere.
	ErrLoginUsed = errors.New("grants: login already used")
	// ErrOtherBrowser says that the login belongs to another browser.
	ErrOtherBrowser = errors.New("grants: login belongs to another browser")
)

// StartLogin records that a person agreed, under the tid of the consent page. The same
// answer sent twice from the same browser (a double click, a lost reply) finds the
// login that the first one created; any other second answer is ErrLoginUsed.
func (s *Service) StartLogin(ctx context.Context, tid [16]byte, l Login) (Login, error) {
	ctx, cancel := detach(ctx)
	defer cancel()
	since, err := s.since(ctx)
	if err != nil {
		return Login{}, err
	}
	now := s.Now()
	l.Stage, l.Purpose, l.Created, l.Request.Epoch = stagePending, "authorize", now.Unix(), since
	_, err = vault.Create(ctx, s.Vault, loginKind, loginID(tid), l, vault.Options{Expires: now.Add(LoginLife)})
	if !errors.Is(err, store.ErrExists) {
		return l, err
	}
	rec, err := s.login(ctx, tid)
	if err != nil {
		return Login{}, err
	}
	if rec.Value.Stage != stagePending || subtle.ConstantTimeCompare(rec.Value.Binding, l.Binding) != 1 {
		return Login{}, ErrLoginUsed
	}
	return rec.Value, nil
}

// TakeLogin ends the login and returns it to the one caller that may complete it: the
// browser that started it, once. A caller without the right binding kills the login and
// gets it together with ErrOtherBrowser, so that the page can offer to start again.
func (s *Service) TakeLogin(ctx context.Context, tid [16]byte, binding []byte) (Login, error) {
	ctx, cancel := detach(ctx)
	defer cancel()
	rec, err := s.login(ctx, tid)
	if err != nil {
		return Login{}, err
	}
	if rec.Value.Stage != stagePending {
		return rec.Value, ErrLoginUsed
	}
	mine := subtle.ConstantTimeCompare(rec.Value.Binding, binding) == 1
	rec.Value.Stage = stageDone
	err = vault.Update(ctx, s.Vault, loginKind, rec)
	switch {
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound):
		return rec.Value, ErrLoginUsed
	case err != nil:
		return Login{}, err
	case !mine:
		return rec.Value, ErrOtherBrowser
	}
	return rec.Value, nil
}

func (s *Service) login(ctx context.Context, tid [16]byte) (*vault.Record[Login], error) {
	rec, err := vault.Get(ctx, s.Vault, loginKind, loginID(tid))
	if errors.Is(err, store.ErrNotFound) {
		return nil, ErrLoginGone
	}
	return rec, err
}

func loginID(tid [16]byte) string { return hex.EncodeToString(tid[:]) }
