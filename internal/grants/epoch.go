// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"strings"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/seal"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// A revocation by person, client or resource has a number, its epoch, and a sign-in has the
// number that was the latest when it began. One with a lower number than a revocation that
// means it is over. Numbers are compared with numbers of the same record alone, so no
// clock of another node takes part: a node whose clock is wrong neither escapes a
// revocation nor dies by one that came before.
var (
	personKind = vault.Kind[personRecord]{Name: "person", Schema: 1}
	epochKind  = vault.Kind[epochRecord]{Name: "epoch", Schema: 1}
)

// personRecord is what is known about a person beside the grants.
type personRecord struct {
	// Epoch is the number of the last revocation of the person.
	Epoch int64 `json:"e,omitempty"`
}

// epochRecord is the one record of its kind: what was revoked in this site.
type epochRecord struct {
	// Number is that of the latest revocation, whomever it meant. It grows, and is at least
	// the time of the revocation in milliseconds, so that it grows even where a failover of
	// the store lost the latest one.
	Number int64 `json:"n"`
	// All is the number of the last revocation of everything.
	All   int64  `json:"a,omitempty"`
	Marks []mark `json:"m,omitempty"`
}

// mark is the number of the last revocation of a client, of a resource, or of whoever has
// a name.
type mark struct {
	Of     []byte `json:"o"`
	Number int64  `json:"n"`
}

const (
	epochID = "epoch"
	// epochLife outlasts every grant that can have been there: the longest absolute life is
	// 365 days.
	epochLife = 366 * 24 * time.Hour
	// maxMarks bounds the record. The oldest mark goes first; what it means has long been
	// listed and ended by then, and only a sign-in in flight or a command that was cut off
	// needs it.
	maxMarks = 256
)

// What a mark can mean.
const (
	markClient   = "client"
	markResource = "resource"
	markName     = "name"
)

func markOf(kind, value string) []byte {
	sum := sha256.Sum256(seal.AppendSized(seal.AppendSized([]byte(nil), kind), value))
	return sum[:16]
}

// names are what an administrator may call a person by: the sub of the JWT, an Entra
// object id, a user name or an e-mail address. Whether the provider verified the address
// does not matter: to revoke too much is the safe side.
func (p person) names() []string {
	var out []string
	for _, n := range []string{p.Subject, p.ObjectID, p.Username, p.Email} {
		if n = strings.ToLower(n); n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

func (p person) called(name string) bool { return slices.Contains(p.names(), strings.ToLower(name)) }

// means tells why a sign-in is over for the marks of e, or "".
func (e *epochRecord) means(p person, client, resource string, since int64) string {
	if e.All > since {
		return ReasonAll
	}
	if e.after(since, markClient, client) {
		return ReasonClient
	}
	if e.after(since, markResource, oauth.CanonicalResource(resource)) {
		return ReasonResource
	}
	if slices.ContainsFunc(p.names(), func(n string) bool { return e.after(since, markName, n) }) {
		return ReasonPerson
	}
	return ""
}

// after tells whether there is a mark with a higher number than since.
func (e *epochRecord) after(since int64, kind, value string) bool {
	of := markOf(kind, value)
	return slices.ContainsFunc(e.Marks, func(m mark) bool {
		return m.Number > since && subtle.ConstantTimeCompare(m.Of, of) == 1
	})
}

// set makes n the number of what of means; nil means everything.
func (e *epochRecord) set(of []byte, n int64) {
	e.Number = n
	if of == nil {
		e.All = n
		return
	}
	e.Marks = slices.DeleteFunc(e.Marks, func(m mark) bool { return subtle.ConstantTimeCompare(m.Of, of) == 1 })
	e.Marks = append(e.Marks, mark{Of: of, Number: n})
	if over := len(e.Marks) - maxMarks; over > 0 {
		e.Marks = slices.Delete(e.Marks, 0, over)
	}
}
