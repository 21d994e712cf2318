// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/caddyrun"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/entratest"
)

// patience bounds what can hang, far above what anything takes.
const patience = 60 * time.Second

// world is one Caddy with a site for each layout, their backends, and the provider.
type world struct {
	t       testing.TB
	ctx     context.Context
	ports   map[string]int
	absent  string // an address where nobody listens
	sites   []*site
	byName  map[string]*site
	arrived records

	emulator  *entratest.Emulator
	transport *http.Transport
	home      *caddyrun.Home
	caddy     *caddyrun.Caddy
	cert, key string
}

// newWorld returns a world whose Caddy does not run yet.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{
		t: t, ctx: t.Context(), absent: caddyrun.FreeAddr(t), home: caddyrun.NewHome(t),
		ports:  map[string]int{"PORT": caddyrun.FreePort(t), "ROOT": caddyrun.FreePort(t), "PLAIN": caddyrun.FreePort(t)},
		byName: map[string]*site{}, arrived: records{byID: map[string][]arrival{}},
	}
	w.transport = &http.Transport{TLSClientConfig: clientTLS(), DialContext: w.dial}
	t.Cleanup(w.transport.CloseIdleConnections)
	names, redirects := []string{"auth.test"}, map[string]bool{}
	for _, l := range layouts {
		s := newSite(w, l)
		s.backend = newBackend(t, s)
		w.sites = append(w.sites, s)
		w.byName[l.name] = s
		names, redirects[s.issuer+"/callback"] = append(names, s.layout.host), true
	}
	w.emulator = entratest.Run(t, entratest.Options{})
	for r := range redirects {
		w.emulator.Register(r)
	}
	w.cert, w.key = newCertificate(t, w.home.Dir, append(names, "second.test", "*.wild.test"))
	// For the layout with try_files.
	if err := os.MkdirAll(filepath.Join(w.home.Dir, "www", "mcp"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.home.Dir, "www", "mcp", "index"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

// dial connects to this machine, whatever the name.
func (w *world) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{Timeout: patience}).DialContext(ctx, network, "127.0.0.1:"+port)
}

// caddyfile is the configuration with words added to each mcp_oauth block.
func (w *world) caddyfile(words string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "{\ndefault_bind 127.0.0.1\nskip_install_trust\nauto_https off\ndefault_sni %s\n", sni)
	b.WriteString("servers {\nprotocols h1 h2 h2c h3\n}\nservers 127.0.0.1:ROOT {\nprotocols h1 h2 h2c h3\ntrusted_proxies static 127.0.0.1/32\nexpected_underscore_headers X_User_* Authorization_*\nexpected_dot_headers X.User.*\n}\n")
	b.WriteString("log {\nlevel WARN\n}\n}\n")
	fmt.Fprintf(&b, "&(app) {\nreverse_proxy %s\n}\n", w.byName["invoke"].backend.addr())
	for _, issuer := range issuers {
		b.WriteString("(" + issuer + ") {\nmcp_oauth {\n")
		for i, s := range w.ofIssuer(issuer) {
			if i == 0 {
				b.WriteString("issuer " + s.issuer + "\n" + w.provider())
			}
			b.WriteString("resource " + s.resource() + " {\n" + resourceWords + "}\n")
		}
		b.WriteString(words + "}\n}\n")
	}
	b.WriteString("https://auth.test:PORT {\ntls CERT KEY\nimport shared\nrespond 404\n}\n")
	for _, s := range w.sites {
		if s.text != "" {
			b.WriteString(s.address + " {\n" + w.tls(s) + s.block() + "\n}\n")
		}
	}
	return w.fill(b.String())
}

// issuers are the blocks.
var issuers = []string{"shared", "lone", "root", "plain"}

// resourceWords are in the block of every resource.
const resourceWords = "scopes mcp notes\nallowed_origins https://friend.test\n" +
	"forward {\nheader X-User-Email email\nheader X-User-Name preferred_username\n}\n"

func (w *world) provider() string {
	return "provider entra {\ntenant " + w.emulator.Tenant() + "\nclient_id " + w.emulator.ClientID() +
		"\nclient_secret " + w.emulator.ClientSecret() + "\nauthority " + w.emulator.URL() + "\n}\n"
}

func (w *world) ofIssuer(issuer string) (all []*site) {
	for _, s := range w.sites {
		if s.layout.issuer == issuer {
			all = append(all, s)
		}
	}
	return all
}

func (w *world) tls(s *site) string {
	if s.scheme == "http" {
		return ""
	}
	return "tls CERT KEY\n"
}

func (s *site) block() string {
	pairs := []string{"OAUTH", "import " + s.layout.issuer + "\n"}
	for _, other := range s.w.sites {
		pairs = append(pairs, "BACKEND_"+other.name+"\n", other.backend.addr()+"\n")
	}
	return strings.NewReplacer(append(pairs, "BACKEND", s.backend.addr())...).Replace(s.text + "\n")
}

func (w *world) fill(text string) string {
	pairs := []string{"CERT", w.cert, "KEY", w.key, "ABSENT", w.absent, "DIR", filepath.Join(w.home.Dir, "www")}
	for name, port := range w.ports {
		pairs = append(pairs, name, fmt.Sprint(port))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// start runs Caddy, gets every token, and leaves the final configuration in force.
func (w *world) start() {
	w.t.Helper()
	w.caddy = w.home.Start(w.t, w.caddyfile("tokens {\naccess 1s\n}\n"))
	w.worn()
	w.reload("")
	w.strangers()
	w.reload("allow {\nuser anna@contoso.example\n}\n")
	w.credentials()
	for _, s := range w.sites {
		s.prepare()
	}
}

func (w *world) reload(words string) {
	w.t.Helper()
	w.transport.CloseIdleConnections()
	if out, err := w.caddy.Reload(w.t, w.caddyfile(words)); err != nil {
		w.t.Fatalf("caddy reload: %v\n%s\n%s", err, out, w.caddy.Output())
	}
}

// dialTLS opens a connection for raw requests; the protocol is agreed in the handshake.
func dialTLS(port int, protocol string) (*tls.Conn, error) {
	d := &tls.Dialer{NetDialer: &net.Dialer{Timeout: patience}, Config: clientTLS(protocol)}
	c, err := d.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	return c.(*tls.Conn), nil
}
