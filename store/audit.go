// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"time"
)

// MaxAuditLimit is the largest AuditQuery.Limit; zero and larger values mean it.
const MaxAuditLimit = 1000

// Auditor is implemented by stores that can keep an audit trail beside the records, in
// clear columns that an administrator reads with the tools of the database. A store whose
// trail is turned off, or that has none behind a wrapper, answers errors.ErrUnsupported.
// Every other error means that the outcome is unknown. All methods may be called
// concurrently.
type Auditor interface {
	// Append adds entries. An entry whose ID is there already is left alone, so that the
	// same entries may be sent again after an unknown result.
	Append(ctx context.Context, entries []AuditEntry) error

	// Find returns the entries that match q in the order of time and ID, at most q.Limit.
	Find(ctx context.Context, q AuditQuery) ([]AuditEntry, error)

	// Prune removes at most limit entries from before the given time and returns how many
	// it removed.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}

// AuditEntry is one thing that happened. It holds no secret: of a token only a part of
// its hash. Each text may be empty.
type AuditEntry struct {
	// ID is 32 lower-case hex digits, chosen at random by the writer.
	ID string
	// Time is when it happened: whole milliseconds, UTC.
	Time time.Time
	// Event is a fixed word such as "refreshed", Mode a further one that says how or why.
	Event, Mode string
	// Site is the Key.Site of the issuer.
	Site string
	// Person is the sub of the JWT, Client a client id, Grant a grant id in hex.
	Person, Client, Grant string
	// Token is the beginning of the hex SHA-256 of the token that was made or shown.
	Token string
	// Resource is the URL of the protected resource.
	Resource string
	// Address is the client's IP address, Agent its User-Agent header.
	Address, Agent string
	// Ref is the reference id that the person or the client was shown.
	Ref string
}

// AuditQuery selects entries of one site. At most one of Person, Client, Grant and Token
// may be set; none means all entries of the site.
type AuditQuery struct {
	Site                         string
	Person, Client, Grant, Token string
	// Since is the earliest time, Until the first that no longer counts; a zero Until
	// means no end.
	Since, Until time.Time
	// After, together with Since, continues a listing: the ID and Time of the last entry
	// that was seen. "" starts at Since.
	After string
	// Limit is at most MaxAuditLimit.
	Limit int
}
