// SPDX-License-Identifier: Apache-2.0

package mcptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// maxHops is how many redirects in a row browsers follow.
const maxHops = 20

// Browser is a scripted browser without JavaScript. It keeps the rules of real ones that
// the sign-in depends on: cookies with their prefixes and SameSite, Origin, Referer and
// Referrer-Policy, Fetch Metadata, and the method after a redirect. It is one person's
// and not for concurrent use.
type Browser struct {
	// Transport sends the requests; nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Stop tells whether a URL belongs to the client that waits for its answer. The
	// browser goes there no more, as nothing but the URL matters.
	Stop func(*url.URL) bool
	// Seen is called with every answer, if set.
	Seen func(*http.Request, *http.Response)

	cookies cookies
}

// Page is where a navigation ended.
type Page struct {
	// URL is the address of the page.
	URL *url.URL
	// Stopped tells that URL is the client's and was not opened; the rest is empty then.
	Stopped bool
	Status  int
	Header  http.Header
	Body    string

	root *html.Node
}

// navigation is one request for a document, with what a browser knows about its cause.
type navigation struct {
	method    string
	target    *url.URL
	form      url.Values
	initiator *url.URL // the page that caused it; nil where the person did
	referrers string   // the Referrer-Policy in force
	chain     []*url.URL
}

// Open goes to an address, as if a program on the person's machine had asked for it.
func (b *Browser) Open(ctx context.Context, address string) (*Page, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	return b.navigate(ctx, &navigation{method: http.MethodGet, target: u})
}

// Follow presses the link of the page whose text contains label.
func (b *Browser) Follow(ctx context.Context, p *Page, label string) (*Page, error) {
	u, err := p.Link(label)
	if err != nil {
		return nil, err
	}
	n := &navigation{method: http.MethodGet, target: u, initiator: p.URL, referrers: p.Header.Get("Referrer-Policy")}
	return b.navigate(ctx, n)
}

// Submit fills the page's form that has the button and presses it. The zero Button is
// the first of the page. A form that is submitted twice is a double click.
func (b *Browser) Submit(ctx context.Context, p *Page, button Button, fill url.Values) (*Page, error) {
	n, err := p.submission(button, fill)
	if err != nil {
		return nil, err
	}
	n.initiator, n.referrers = p.URL, p.Header.Get("Referrer-Policy")
	return b.navigate(ctx, n)
}

// navigate follows redirects by hand until there is a page to show.
func (b *Browser) navigate(ctx context.Context, n *navigation) (*Page, error) {
	for range maxHops {
		if b.Stop != nil && b.Stop(n.target) {
			return &Page{URL: n.target, Stopped: true}, nil
		}
		resp, err := b.send(ctx, n)
		if err != nil {
			return nil, err
		}
		location := resp.Header.Get("Location")
		if location == "" || resp.StatusCode/100 != 3 {
			return readPage(n.target, resp)
		}
		resp.Body.Close()
		if err := n.redirect(resp.StatusCode, location, resp.Header.Get("Referrer-Policy")); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("more than %d redirects", maxHops)
}

// send makes one request of the navigation.
func (b *Browser) send(ctx context.Context, n *navigation) (*http.Response, error) {
	if n.target.Scheme != "https" && n.target.Scheme != "http" {
		return nil, fmt.Errorf("no browser opens %s", n.target)
	}
	req, err := http.NewRequestWithContext(ctx, n.method, n.target.String(), strings.NewReader(n.form.Encode()))
	if err != nil {
		return nil, err
	}
	n.setHeaders(req.Header)
	b.cookies.send(req, n)
	transport := b.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if b.Seen != nil {
		b.Seen(req, resp)
	}
	if err := b.cookies.receive(n.target, resp.Cookies()); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// redirect turns the navigation to where an answer points. Fetch §4.4: a POST that is
// answered with 301 or 302, and anything but GET and HEAD that is answered with 303,
// becomes a GET without a body.
func (n *navigation) redirect(status int, location, referrers string) error {
	next, err := n.target.Parse(location)
	if err != nil {
		return err
	}
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
		n.method, n.form = http.MethodGet, nil
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return fmt.Errorf("no browser follows status %d", status)
	}
	if referrers != "" {
		n.referrers = referrers
	}
	n.chain = append(n.chain, n.target)
	n.target = next
	return nil
}

func readPage(at *url.URL, resp *http.Response) (*Page, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	p := &Page{URL: at, Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return p, nil
	}
	p.root, err = html.Parse(bytes.NewReader(body))
	return p, err
}

// errNoElement says that a page does not have what the script looks for.
var errNoElement = errors.New("no such element on the page")
