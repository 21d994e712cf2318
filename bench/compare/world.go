// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
)

// world is what all systems of a run have in common.
type world struct {
	options
	dir      string
	key      string // encryption_key of every site
	good     string // a token, for systems that do not care
	backend  *process
	addr     string // of the backend
	auth     *process
	authAddr string
	emulator *entratest.Emulator

	children []*process
	spawned  int
	random   *mathrand.Rand
	ports    map[int]bool
}

func newWorld(o options) (w *world, err error) {
	w = &world{options: o, random: mathrand.New(mathrand.NewPCG(o.seed, 0)), ports: map[int]bool{}}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.dir, err = os.MkdirTemp("", "mcpoauth-compare-*"); err != nil {
		return w, err
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return w, err
	}
	w.key = base64.StdEncoding.EncodeToString(key)
	w.good = tokenPrefix + invent(w.random)
	if w.emulator, err = entratest.Start(entratest.Options{}); err != nil {
		return w, err
	}
	if w.backend, w.addr, err = w.listening("backend"); err != nil {
		return w, fmt.Errorf("starting the backend: %w", err)
	}
	if w.auth, w.authAddr, err = w.listening("auth", w.good); err != nil {
		return w, fmt.Errorf("starting the auth server: %w", err)
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return w, err
	}
	return w, w.describe()
}

// close ends all that was started, the last first.
func (w *world) close() {
	for _, p := range slices.Backward(w.children) {
		p.stop()
	}
	if w.emulator != nil {
		w.emulator.Close()
	}
	_ = os.RemoveAll(w.dir)
}

// port returns a loopback port for a server that has to know its URL before it listens.
// It is below those that systems hand out for connections.
func (w *world) port() (int, error) {
	for range 1000 {
		port := 20_000 + mathrand.IntN(12_000)
		if w.ports[port] {
			continue
		}
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			w.ports[port] = true
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port")
}

// file writes text into the directory of the run.
func (w *world) file(name, text string) (string, error) {
	w.spawned++
	path := filepath.Join(w.dir, fmt.Sprintf("%d-%s", w.spawned, name))
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// invent returns 96 characters of base64url, the length of a real token without prefix.
func invent(r *mathrand.Rand) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var b strings.Builder
	for b.Len() < 96 {
		for bits, n := r.Uint64(), 0; n < 10 && b.Len() < 96; bits, n = bits>>6, n+1 {
			b.WriteByte(alphabet[bits&63])
		}
	}
	return b.String()
}
