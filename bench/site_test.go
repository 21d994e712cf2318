// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	mcpoauth "github.com/mcpoauth/caddy-mcp-oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
)

// The sites, one for each store. TLS ends before them, so that a server can be set up
// without certificates.
const (
	memoryHost = "memory.example.com"
	fileHost   = "file.example.com"
)

var hosts = []string{memoryHost, fileHost}

var cleanups struct {
	sync.Mutex
	fns []func() error
}

func onCleanUp(fn func() error) {
	cleanups.Lock()
	defer cleanups.Unlock()
	cleanups.fns = append(cleanups.fns, fn)
}

// cleanUp ends what the benchmarks share, the last thing first.
func cleanUp() (err error) {
	cleanups.Lock()
	defer cleanups.Unlock()
	for _, fn := range slices.Backward(cleanups.fns) {
		err = errors.Join(err, fn())
	}
	return err
}

// site is one provisioned handler in the server that it belongs to.
type site struct {
	host    string
	handler *mcpoauth.Handler
	server  *caddyhttp.Server
}

var storeDir = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mcpoauth-bench-*")
	if err == nil {
		onCleanUp(func() error { return os.RemoveAll(dir) })
	}
	return dir, err
})

// provision makes a handler as a running Caddy does, up to the point where it would
// listen. Handlers with the same host share their state, as after a reload; words are
// more of the mcp_oauth block.
func provision(host, words string) (*site, error) {
	up, err := startUpstream()
	if err != nil {
		return nil, err
	}
	storage := "memory"
	if host == fileHost {
		dir, err := storeDir()
		if err != nil {
			return nil, err
		}
		storage = "file " + filepath.Join(dir, "store.db")
	}
	text := fmt.Sprintf(`{
	admin off
	log {
		output discard
	}
}
http://%[1]s {
	mcp_oauth {
		resource https://%[1]s/mcp
		provider entra {
			tenant %[2]s
			client_id %[3]s
			client_secret %[4]s
			authority %[5]s
		}
		store %[6]s
		%[7]s
	}
}
`, host, entratest.DefaultTenant, entratest.DefaultClientID, entratest.DefaultClientSecret, up.url, storage, words)
	return load(host, text)
}

func load(host, text string) (*site, error) {
	raw, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		return nil, err
	}
	var config caddy.Config
	if err := caddy.StrictUnmarshalJSON(raw, &config); err != nil {
		return nil, err
	}
	ctx, err := caddy.ProvisionContext(&config)
	if err != nil {
		return nil, err
	}
	app, err := ctx.App("http")
	if err != nil {
		return nil, err
	}
	s := &site{host: host}
	for _, server := range app.(*caddyhttp.App).Servers {
		s.server, s.handler = server, find(server.Routes)
	}
	if s.handler == nil {
		return nil, errors.New("the configuration has no handler")
	}
	onCleanUp(s.handler.Cleanup)
	events, err := ctx.App("events")
	if err != nil {
		return nil, err
	}
	events.(*caddyevents.App).Emit(ctx, "started", nil)
	return s, nil
}

// find returns the handler among the routes of a server.
func find(routes caddyhttp.RouteList) *mcpoauth.Handler {
	for _, route := range routes {
		for _, h := range route.Handlers {
			switch h := h.(type) {
			case *mcpoauth.Handler:
				return h
			case *caddyhttp.Subroute:
				if found := find(h.Routes); found != nil {
					return found
				}
			}
		}
	}
	return nil
}

// backend is the next handler: an MCP server whose answer costs as little as possible.
var backend caddyhttp.Handler = caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
	w.Header()["Content-Type"] = jsonType
	_, err := w.Write(answer)
	return err
})

var (
	jsonType = []string{"application/json"}
	answer   = []byte(`{"jsonrpc":"2.0","id":1,"result":{}}`)
)

// address counts client addresses, so that no limit per address is met.
var address atomic.Uint32

// request is a request of a new client, as Caddy's server makes it.
func (s *site) request(method, path, body string) (*http.Request, error) {
	r, err := http.NewRequest(method, path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	n := address.Add(1)
	r.Host, r.RequestURI = s.host, path
	r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:50000", byte(n>>16), byte(n>>8), byte(n))
	return r, nil
}

// prepare adds the context that Caddy gives every request.
func (s *site) prepare(w http.ResponseWriter, r *http.Request) *http.Request {
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, s.server)
}

// serve hands a request to the handler and checks the status of its answer.
func (s *site) serve(r *http.Request, want int) (*httptest.ResponseRecorder, error) {
	w := httptest.NewRecorder()
	if err := s.handler.ServeHTTP(w, s.prepare(w, r), backend); err != nil {
		return nil, err
	}
	if w.Code != want {
		return nil, fmt.Errorf("%s %s: status %d instead of %d: %s", r.Method, r.URL.Path, w.Code, want, w.Body)
	}
	return w, nil
}
