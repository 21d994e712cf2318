// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// The paths of the backend, all of them inside the resource.
const (
	callPath     = "/mcp"
	uploadPath   = "/mcp/upload"
	downloadPath = "/mcp/download"
)

// firstEvent is what an SSE stream begins with; then it is idle.
const firstEvent = "event: message\ndata: {}\n\n"

// tokenPrefix is how the tokens of clients begin, which no backend behind a guard may see.
const tokenPrefix = "mcpo_at_"

// What the backend answers says whether it saw the token of the client.
const (
	sawClient = "\"saw\":\"the client's token\""
	sawOther  = "\"saw\":\"something else\""
)

// answerTo is a JSON-RPC answer of about 300 bytes.
func answerTo(saw string) []byte {
	return []byte(`{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"` +
		strings.Repeat("lorem ipsum ", 16) + `"}],"isError":false,` + saw + "}}")
}

// backend is an MCP server as far as its traffic goes, and as cheap as one can be.
func backend() http.Handler {
	client, other := answerTo(sawClient), answerTo(sawOther)
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+callPath, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer := other
		if strings.Contains(r.Header.Get("Authorization"), tokenPrefix) {
			answer = client
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		_, _ = w.Write(answer)
	})
	mux.HandleFunc("GET "+callPath, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("X-Accel-Buffering", "no") // for nginx
		_, _ = io.WriteString(w, firstEvent)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("POST "+uploadPath, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, strconv.FormatInt(n, 10))
	})
	mux.HandleFunc("GET "+downloadPath, func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.URL.Query().Get("bytes"), 10, 64)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		_, _ = io.CopyN(w, zeros{}, n)
	})
	return mux
}

// zeros is a body without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
