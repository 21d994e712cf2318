// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Defaults of the words that the SQL stores share.
const (
	// DefaultRetention is how long entries of the audit trail stay.
	DefaultRetention = 90 * 24 * time.Hour
	// DefaultMaxConns is how many connections a node has to the database at most.
	DefaultMaxConns = 16
)

// The values of audit.
const (
	AuditOn  = "on"
	AuditOff = "off"
)

// CheckAudit checks the value of audit.
func CheckAudit(v string) error {
	if v != AuditOn && v != AuditOff {
		return fmt.Errorf("%q is neither on nor off: write audit, or audit off", v)
	}
	return nil
}

// The bounds of retention.
const (
	day          = 24 * time.Hour
	maxRetention = 3650 * day
)

// ParseRetention reads a length of time such as 90d or 36h: 1h to 3650d.
func ParseRetention(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if days, ok := strings.CutSuffix(v, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(min(max(n, 0), 10_000)) * day
	}
	if err != nil || d < time.Hour || d > maxRetention {
		return 0, fmt.Errorf("%q is not a time that entries can stay: write one of 1h to 3650d, such as 90d", v)
	}
	return d, nil
}

// CheckRetention checks the value of retention.
func CheckRetention(v string) error {
	_, err := ParseRetention(v)
	return err
}

// ParseMaxConns reads a number of connections: 2 to 1000. One would let a node that
// watches for changes wait for itself.
func ParseMaxConns(v string) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 2 || n > 1000 {
		return 0, fmt.Errorf("%q is not a number of connections: write a whole number of 2 to 1000, such as %d", v, DefaultMaxConns)
	}
	return n, nil
}

// CheckMaxConns checks the value of max_conns.
func CheckMaxConns(v string) error {
	_, err := ParseMaxConns(v)
	return err
}
