// SPDX-License-Identifier: Apache-2.0

package grants

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/event"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/oauth"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/vault"
)

// Selection says whose grants are meant; exactly one member is set.
type Selection struct {
	// Person is the sub of the JWT, an Entra object id, a user name or an e-mail address.
	Person string `json:"person,omitempty"`
	Client string `json:"client,omitempty"`
	// Resource is the URL of a protected resource.
	Resource string `json:"resource,omitempty"`
	All      bool   `json:"all,omitempty"`
}

// maxName is how long the name of a person, client or resource can be, in bytes. Nobody
// has a longer one, and the index takes no more than 64 KiB.
const maxName = 4 << 10

// errSelection says that a Selection means nobody, or too many.
var errSelection = errors.New("exactly one of person, client, resource and all is wanted")

var errLongName = fmt.Errorf("a name has at most %d bytes", maxName)

// Check refuses a Selection that is none.
func (sel Selection) Check() error {
	set := 0
	for _, is := range []bool{sel.Person != "", sel.Client != "", sel.Resource != "", sel.All} {
		if is {
			set++
		}
	}
	if set != 1 {
		return errSelection
	}
	if len(sel.Person) > maxName || len(sel.Client) > maxName || len(sel.Resource) > maxName {
		return errLongName
	}
	if sel.Resource != "" && oauth.CanonicalResource(sel.Resource) == "" {
		return fmt.Errorf("%q is no URL of a resource", sel.Resource)
	}
	return nil
}

func (sel Selection) reason() string {
	switch {
	case sel.Person != "":
		return ReasonPerson
	case sel.Client != "":
		return ReasonClient
	case sel.Resource != "":
		return ReasonResource
	default:
		return ReasonAll
	}
}

func (sel Selection) mark() []byte {
	switch {
	case sel.Person != "":
		return markOf(markName, strings.ToLower(sel.Person))
	case sel.Client != "":
		return markOf(markClient, sel.Client)
	case sel.Resource != "":
		return markOf(markResource, oauth.CanonicalResource(sel.Resource))
	default:
		return nil
	}
}

func (sel Selection) means(g *grantRecord) bool {
	switch {
	case sel.Person != "":
		return g.Person.called(sel.Person)
	case sel.Client != "":
		return g.Client == sel.Client
	case sel.Resource != "":
		return oauth.CanonicalResource(g.Resource) == oauth.CanonicalResource(sel.Resource)
	default:
		return true
	}
}

// listings are how to find the grants, the quick way first. Only the last finds them all:
// an index knows persons by their sub alone.
func (sel Selection) listings() []vault.Query {
	switch {
	case sel.Person != "":
		return []vault.Query{{Person: sel.Person}, {}}
	case sel.Client != "":
		return []vault.Query{{Client: sel.Client}}
	default:
		return []vault.Query{{}}
	}
}

// event says that the revocation has begun; an e-mail address is nothing for it.
func (sel Selection) event() event.Event {
	e := event.Event{Kind: event.RevocationBegun, Mode: sel.reason(), Client: sel.Client, Resource: sel.Resource}
	if !strings.Contains(sel.Person, "@") {
		e.Person = sel.Person
	}
	return e
}
