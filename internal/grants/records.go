// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// The kinds of this package. Their JSON is a stored format: members are added, never
// renamed, and a golden fixture of each is committed.
var (
	loginKind = vault.Kind[Login]{Name: "login", Schema: 1}
	codeKind  = vault.Kind[codeRecord]{Name: "code", Schema: 1}
	grantKind = vault.Kind[grantRecord]{Name: "grant", Schema: 1}
)

// Stages of a login.
const (
	stagePending = "pending" // the browser is at the provider
	stageDone    = "done"    // the answer was taken, whatever it was
)

// Request is what a client asked for at the authorization endpoint, after validation.
// It travels sealed through the consent page and is part of the login and the code.
type Request struct {
	Client      string `json:"c"`
	RedirectURI string `json:"r"`
	// Challenge is the client's S256 code challenge (RFC 7636 §4.2).
	Challenge string `json:"ch"`
	// State is the client's own state, nil when it sent none: it comes back iff sent.
	State    *string `json:"st,omitempty"`
	Resource string  `json:"re"`
	Scope    string  `json:"sc"`
	// Epoch is the number of the latest revocation when the sign-in began.
	Epoch int64 `json:"ep,omitempty"`
}

// Login is a sign-in that a person agreed to and that has not come back yet.
type Login struct {
	Request Request `json:"q"`
	// Verifier and Nonce are ours towards the provider.
	Verifier string `json:"v"`
	Nonce    string `json:"n"`
	// Binding is the SHA-256 of the cookie that only this browser has.
	Binding []byte `json:"b"`
	Stage   string `json:"s"`
	Purpose string `json:"p"`
	Created int64  `json:"t"`
}

// person is a provider.Person at rest.
type person struct {
	Subject  string   `json:"sub"`
	Issuer   string   `json:"iss,omitempty"`
	Tenant   string   `json:"tid,omitempty"`
	ObjectID string   `json:"oid,omitempty"`
	Name     string   `json:"name,omitempty"`
	Username string   `json:"un,omitempty"`
	Email    string   `json:"em,omitempty"`
	Verified bool     `json:"ev,omitempty"`
	Roles    []string `json:"ro,omitempty"`
}

func toRecord(p provider.Person) person {
	return person{
		Subject: p.Subject, Issuer: p.Issuer, Tenant: p.Tenant, ObjectID: p.ObjectID,
		Name: p.Name, Username: p.PreferredUsername, Email: p.Email, Verified: p.EmailVerified,
		Roles: p.Roles,
	}
}

func (p person) person() provider.Person {
	return provider.Person{
		Subject: p.Subject, Issuer: p.Issuer, Tenant: p.Tenant, ObjectID: p.ObjectID,
		Name: p.Name, PreferredUsername: p.Username, Email: p.Email, EmailVerified: p.Verified,
		Roles: p.Roles,
	}
}

// sealedToken is the provider's refresh token: sealed under a data key that is wrapped
// for one of the client's own tokens, so a dump opens nothing without that token.
type sealedToken struct {
	Sealed []byte `json:"s"`
	Wrap   []byte `json:"w"`
}

// codeRecord is an authorization code (RFC 6749 §4.1.2).
type codeRecord struct {
	Request  Request      `json:"q"`
	Hash     []byte       `json:"h"`
	Person   person       `json:"p"`
	Provider *sealedToken `json:"up,omitempty"`
	// Grant is the id of the grant that this code can become, chosen when the code is
	// issued: whoever redeems it competes for the creation of that one record.
	Grant    string `json:"g"`
	AuthTime int64  `json:"at,omitempty"`
	Consumed int64  `json:"u,omitempty"`
	// Dead is set by a wrong verifier: one guess and no more.
	Dead bool `json:"x,omitempty"`
}

// accessEntry is a live access token of a grant.
type accessEntry struct {
	Hash    []byte `json:"h"`
	Scope   string `json:"s"`
	Expires int64  `json:"e"`
	Issued  int64  `json:"i,omitempty"`
	// Wrap is the data key of the provider's token, wrapped for this access token; only
	// where checks follow use.
	Wrap []byte `json:"w,omitempty"`
}

// maxAccess is how many access tokens of one grant may live at once. A refresh leaves
// the older ones alone, since other calls may be using them.
const maxAccess = 8

// ended says how a grant died.
type ended struct {
	Reason string `json:"r"`
	// By is who or what ended it, of the closed set of Trigger.
	By   string `json:"b,omitempty"`
	Time int64  `json:"t"`
	// Ref is what the client is told, so that an administrator finds this record by it.
	Ref string `json:"f,omitempty"`
	// Provider is the provider's own reference.
	Provider string `json:"pf,omitempty"`
}

// grantRecord is everything behind the tokens of one client on one device of one person.
// Reserved members, read and kept but not yet written: cnf, terms, sid and acr.
type grantRecord struct {
	// ID is the natural id: a listing has the hash of it alone.
	ID       string `json:"id,omitempty"`
	Person   person `json:"p"`
	Client   string `json:"c"`
	Resource string `json:"re"`
	Scope    string `json:"sc"`
	Created  int64  `json:"t"`
	// Absolute is when the grant ends however often it is refreshed.
	Absolute int64 `json:"abs"`
	// Epoch is the number of the latest revocation when the sign-in began.
	Epoch    int64 `json:"ep,omitempty"`
	AuthTime int64 `json:"at,omitempty"`

	// Generation is 1 at first and counts the rotations; a recovery is none.
	Generation  uint32 `json:"g"`
	Current     []byte `json:"cur,omitempty"`
	Predecessor []byte `json:"prev,omitempty"`
	// Rotated is when the current pair was made by a refresh, 0 before the first.
	Rotated int64 `json:"rot,omitempty"`
	// Successor is the current pair, sealed for the predecessor while it may ask again.
	Successor []byte        `json:"succ,omitempty"`
	Access    []accessEntry `json:"a,omitempty"`

	// Replaced is when the predecessor was first replaced, where a recovery has replaced
	// its successor since; else 0, and Rotated says it.
	Replaced int64 `json:"rpl,omitempty"`
	// Recovered counts the lost answers that were made good.
	Recovered uint32 `json:"rc,omitempty"`
	// Mode is how the last refresh that changed the grant came about.
	Mode string `json:"m,omitempty"`
	// Address is the network that made the last rotation, Agent the software, both cut
	// short: enough to tell two places apart in the report of a stolen token.
	Address string `json:"ip,omitempty"`
	Agent   string `json:"ua,omitempty"`

	// Provider has its data key wrapped for the current refresh token.
	Provider *sealedToken `json:"up,omitempty"`
	// PredecessorWrap is the same data key for the predecessor, while that one may recover.
	PredecessorWrap []byte `json:"pw,omitempty"`
	// LastYes is when the provider last vouched for the person.
	LastYes int64 `json:"yes"`
	// Asked is when somebody last began to ask the provider.
	Asked int64 `json:"ask,omitempty"`
	// LeaseUntil is until when somebody has the right to ask the provider, in Unix
	// nanoseconds, which also tell one lease from another; 0: nobody.
	LeaseUntil int64  `json:"lease_until,omitempty"`
	Ended      *ended `json:"end,omitempty"`
}

// idleEnd is until when a grant may be refreshed that is not refreshed before; unix
// seconds. The record itself may live longer, for its access tokens.
func (g *grantRecord) idleEnd(idle time.Duration) int64 {
	return max(g.Created, g.Rotated) + int64(idle/time.Second)
}

// alive drops the access tokens that are past their life and keeps the newest.
func (g *grantRecord) alive(now time.Time) {
	kept := g.Access[:0:0]
	for _, a := range g.Access {
		if now.Unix() < a.Expires {
			kept = append(kept, a)
		}
	}
	if n := len(kept) - maxAccess; n > 0 {
		kept = kept[n:]
	}
	g.Access = kept
}
