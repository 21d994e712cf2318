// SPDX-License-Identifier: Apache-2.0

package lazystore

import (
	"log/slog"
	"sync"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

// journal writes to the log when the breaker opens, at most once a minute, and when the
// store answers again.
type journal struct {
	identity string
	env      store.Env

	mu     sync.Mutex
	last   time.Time
	warned bool
}

func newJournal(identity string, env store.Env) *journal {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	return &journal{identity: identity, env: env}
}

// note takes the error that opened the breaker, or nil when it closed.
func (j *journal) note(cause error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.env.Now()
	switch {
	case cause == nil && j.warned:
		j.warned = false
		j.env.Log.Info("store answers again", "store", j.identity)
	case cause != nil && (j.last.IsZero() || now.Sub(j.last) >= time.Minute):
		j.warned, j.last = true, now
		j.env.Log.Warn("store does not answer", "store", j.identity, "error", cause)
	}
}
