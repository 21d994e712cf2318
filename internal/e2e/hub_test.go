// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// hub is a backend that answers calls at once, and keeps each request for a stream open.
type hub struct {
	mu      sync.Mutex
	streams map[chan string]struct{}
}

func newHub() *hub { return &hub{streams: map[chan string]struct{}{}} }

// ServeHTTP implements http.Handler. A body of "stream" asks for a stream, as GET does.
func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.Header.Get("Authorization"), "mcpo_") {
		http.Error(w, "the token of the client came through", http.StatusTeapot)
		return
	}
	if r.Method != http.MethodGet {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":1,"result":{}}`))
		return
	}
	events := make(chan string, 1)
	h.mu.Lock()
	h.streams[events] = struct{}{}
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.streams, events)
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	for {
		select {
		case e := <-events:
			fmt.Fprintf(w, "data: %s\n\n", e)
			_ = http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// say sends an event into every stream and returns how many there are.
func (h *hub) say(text string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	for events := range h.streams {
		events <- text
	}
	return len(h.streams)
}

// heard waits for the next event of a stream.
func heard(stream *bufio.Scanner) (string, error) {
	for stream.Scan() {
		if text, ok := strings.CutPrefix(stream.Text(), "data: "); ok {
			return text, nil
		}
	}
	return "", fmt.Errorf("the stream has ended: %w", stream.Err())
}
