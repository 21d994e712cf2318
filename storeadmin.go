// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/transfer"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// What can be wrong with the choice of a site.
var (
	errNoSite     = errors.New("no mcp_oauth site is loaded that has this issuer")
	errManyStores = errors.New("the sites have several stores: choose one site by its issuer")
	errSiteEnded  = errors.New("the configuration was replaced meanwhile: try again")
)

// activeSites are the sites that a configuration holds now, by issuer.
func activeSites() []*site {
	var all []*site
	sitePool.Range(func(_, v any) bool {
		all = append(all, v.(*site))
		return true
	})
	slices.SortFunc(all, func(a, b *site) int {
		return cmp.Or(cmp.Compare(a.key.issuer, b.key.issuer), cmp.Compare(a.key.store, b.key.store))
	})
	return all
}

// selection is a store, and those of its sites that are meant.
type selection struct {
	store *pooledStore
	sites []*site
	// only is the issuer that was asked for, or "".
	only string
}

// selectSites returns the site of an issuer, or all sites where the issuer is "". They
// have one store. release must follow.
func selectSites(issuer string) (*selection, error) {
	sel := &selection{only: issuer}
	for _, s := range activeSites() {
		if issuer != "" && s.key.issuer != issuer {
			continue
		}
		if sel.store != nil && sel.store != s.store {
			sel.release()
			return nil, errManyStores
		}
		if !s.uses.acquire() {
			sel.release()
			return nil, errSiteEnded
		}
		sel.store = s.store
		sel.sites = append(sel.sites, s)
	}
	if len(sel.sites) == 0 {
		return nil, errNoSite
	}
	return sel, nil
}

// errEmptyIssuer refuses what is nearly always a variable without a value: to take it for
// all sites would end the sessions of sites that nobody meant.
var errEmptyIssuer = errors.New("issuer is empty: leave it out to mean all sites")

// sitesOf returns the sites that a request means.
func sitesOf(r *http.Request) (*selection, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badStream{err}
	}
	issuer := query["issuer"]
	switch {
	case len(issuer) == 0:
		return selectSites("")
	case len(issuer) > 1:
		return nil, badStream{errors.New("issuer is there more than once")}
	case issuer[0] == "":
		return nil, badStream{errEmptyIssuer}
	}
	return selectSites(issuer[0])
}

func (sel *selection) release() {
	for _, s := range sel.sites {
		s.uses.done()
	}
}

// names are the sites as a stream has them.
func (sel *selection) names() []transfer.Site {
	var all []transfer.Site
	for _, s := range sel.sites {
		name := transfer.Site{Issuer: s.key.issuer, ID: seal.SiteOf(s.key.issuer).String()}
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// export writes all records of the sites. inUse says that a server works with them.
func (sel *selection) export(ctx context.Context, w io.Writer, inUse bool) (int, error) {
	return transfer.Export{
		Store: sel.store, Sites: sel.names(), Kinds: vault.Kinds(), Now: clock.System(), InUse: inUse,
	}.Write(ctx, w)
}

// take reads a stream twice: to see that it is whole and that its keys fit, and to write
// its records.
func (sel *selection) take(ctx context.Context, stream io.ReadSeeker) (transfer.Result, error) {
	var none transfer.Result
	m, err := transfer.Verify(stream, vault.Kinds())
	if err != nil {
		return none, badStream{err}
	}
	if err := sel.fits(ctx, m); err != nil {
		return none, err
	}
	if _, err := stream.Seek(0, io.SeekStart); err != nil {
		return none, fmt.Errorf("reading the stream again: %w", err)
	}
	i := transfer.Import{Store: sel.store, Manifest: m, Now: clock.System()}
	if sel.only != "" {
		i.Site = seal.SiteOf(sel.only).String()
	}
	return i.Read(ctx, stream)
}

// errNotThere says that a stream has nothing for the issuer that was asked for.
var errNotThere = errors.New("the stream has no records of this issuer")

// fits makes sure that each site that is meant is configured, with the keys that open it.
func (sel *selection) fits(ctx context.Context, m *transfer.Manifest) error {
	meant := m.Sites
	if sel.only != "" {
		meant = slices.DeleteFunc(slices.Clone(meant), func(s transfer.Site) bool { return s.Issuer != sel.only })
	}
	if len(meant) == 0 {
		return badStream{errNotThere}
	}
	for _, from := range meant {
		i := slices.IndexFunc(sel.sites, func(s *site) bool { return s.key.issuer == from.Issuer })
		if i < 0 || seal.SiteOf(from.Issuer).String() != from.ID {
			return fmt.Errorf("the stream has records of %s: %w", from.Issuer, errNoSite)
		}
		for _, ring := range m.Keyrings {
			if ring.Site != from.ID {
				continue
			}
			v, err := sel.sites[i].inspector(ctx)
			if err == nil {
				err = v.CheckKeyring(ctx, ring)
			}
			if err != nil {
				return fmt.Errorf("the records of %s cannot be used here: %w", from.Issuer, err)
			}
		}
	}
	return nil
}

// siteCheck is what became of opening all records of a site.
type siteCheck struct {
	Issuer  string        `json:"issuer"`
	Store   string        `json:"store"`
	Records []vault.Tally `json:"records"`
}

// check opens every record of the sites.
func (sel *selection) check(ctx context.Context) ([]siteCheck, error) {
	var all []siteCheck
	for _, s := range sel.sites {
		v, err := s.inspector(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.key.issuer, err)
		}
		tallies, err := v.Check(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.key.issuer, err)
		}
		all = append(all, siteCheck{Issuer: s.key.issuer, Store: s.key.store, Records: tallies})
	}
	return all, nil
}

// inspector is a vault that looks at the records of the site. It has the keys that there
// are and makes none.
func (s *site) inspector(ctx context.Context) (*vault.Vault, error) {
	masters := *s.masters.Load()
	if len(masters) == 0 {
		m, err := s.store.existingKey(ctx)
		if err != nil {
			return nil, err
		}
		masters = []seal.Master{m}
	}
	return vault.New(s.vaultConfig(masters)), nil
}

// existingKey is masterKey for whoever must not make one.
func (p *pooledStore) existingKey(ctx context.Context) (seal.Master, error) {
	return p.key(ctx, noRandom{})
}

var errNoKey = errors.New("there is no key yet: copy the key file that belongs to the records to this place first, or write their key as encryption_key")

// noRandom makes sure that no key is made of it.
type noRandom struct{}

func (noRandom) Read([]byte) (int, error) { return 0, errNoKey }
