// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/internal/sqlstore"
)

// notifier tells the other nodes what this one has changed. It does so right after the
// change and not within it: PostgreSQL lets transactions that notify commit one after
// another only, so each refresh would wait for the disk alone.
type notifier struct {
	db      *sql.DB
	channel string
	text    string

	queue   chan store.Key
	lost    atomic.Bool // a change that did not fit, or whose notification failed
	stop    chan struct{}
	stopped chan struct{}
	closing sync.Once
}

const (
	notifyQueue = 4096
	notifyBatch = 256
	// notifyLimit bounds one notification, notifyAgain is the pause after a failed one.
	notifyLimit = 5 * time.Second
	notifyAgain = 500 * time.Millisecond
)

func newNotifier(db *sql.DB, channel string) *notifier {
	n := &notifier{
		db: db, channel: channel, text: sqlstore.Statement(statements, "notify"),
		queue: make(chan store.Key, notifyQueue), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go n.run()
	return n
}

// changed takes a change. It does not wait.
func (n *notifier) changed(k store.Key) {
	select {
	case n.queue <- k:
	default:
		n.lost.Store(true)
	}
}

// close tells what is in the queue and ends.
func (n *notifier) close() {
	n.closing.Do(func() { close(n.stop) })
	<-n.stopped
}

func (n *notifier) run() {
	defer close(n.stopped)
	for {
		select {
		case k := <-n.queue:
			if !n.tell(n.gather(k)) {
				n.pause()
			}
		case <-n.stop:
			for len(n.queue) > 0 {
				n.tell(n.gather(<-n.queue))
			}
			return
		}
	}
}

// pause waits after a failure. What failed is not forgotten: the next notification says
// that anything may have changed.
func (n *notifier) pause() {
	timer := time.NewTimer(notifyAgain)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-n.stop:
		return
	}
	if !n.tell(nil) {
		// The connections of those who listen are broken, too, and when they have new ones
		// they know that they may have missed something.
		n.lost.Store(true)
	}
}

// gather returns what is in the queue, at most a batch.
func (n *notifier) gather(first store.Key) []string {
	payloads := []string{payload(first)}
	for len(payloads) < notifyBatch {
		select {
		case k := <-n.queue:
			payloads = append(payloads, payload(k))
		default:
			return payloads
		}
	}
	return payloads
}

// tell sends notifications and tells whether that worked.
func (n *notifier) tell(payloads []string) bool {
	if n.lost.Swap(false) {
		payloads = []string{anything}
	}
	if len(payloads) == 0 {
		return true
	}
	text, err := json.Marshal(payloads)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), notifyLimit)
		defer cancel()
		_, err = n.db.ExecContext(ctx, n.text, n.channel, string(text))
	}
	if err != nil {
		n.lost.Store(true)
	}
	return err == nil
}

// anything is the payload that says that any record may have changed.
const anything = "*"

func payload(k store.Key) string { return k.Site + "/" + string(k.Kind) + "/" + k.ID }
