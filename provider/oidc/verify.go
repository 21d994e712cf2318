// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
	"github.com/mcpoauth/caddy-mcp-oauth/provider"
)

// The bounds of verify_account every. Each check is a call to the provider and a write to
// the store, and Microsoft takes one client that asks about one person within a minute for
// a loop, which it refuses. More than a day is longer than an access token may live, so
// that on_refresh would ask more often.
const (
	leastEvery = time.Minute
	mostEvery  = 24 * time.Hour
)

const verifyUsage = "verify_account on_refresh|never|every <duration>"

// VerifyWord is the word verify_account, which every provider has. value keeps it as
// written, resolved takes what it means.
func VerifyWord(value *string, resolved *provider.Verification) surface.Word {
	return surface.Word{
		Usage: verifyUsage, Check: CheckVerify, Value: value, Joined: 2,
		Resolved: func(v []string) { *resolved, _ = parseVerify(v[0]) }, // checked before
	}
}

// CheckVerify demands on_refresh, never, or every with a duration.
func CheckVerify(s string) error {
	_, err := parseVerify(s)
	return err
}

func parseVerify(s string) (provider.Verification, error) {
	var v provider.Verification
	words := strings.Fields(s)
	switch {
	case len(words) == 0:
		return v, errors.New("write " + verifyUsage)
	case words[0] == "every" && len(words) == 2:
		every, err := surface.ParseDuration(words[1])
		if err == nil && (every < leastEvery || every > mostEvery) {
			err = fmt.Errorf("%s is out of bounds: write 1m to 24h, since a provider refuses who asks more often, such as every 15m", words[1])
		}
		v.Every = every
		return v, err
	case words[0] == "every":
		return v, fmt.Errorf("every takes one duration: write %s, such as every 15m", verifyUsage)
	case words[0] != "on_refresh" && words[0] != "never":
		return v, fmt.Errorf("%q is not one of on_refresh, never and every: write %s", words[0], verifyUsage)
	case len(words) > 1:
		return v, fmt.Errorf("%s takes no value: write %s", words[0], verifyUsage)
	}
	v.Never = words[0] == "never"
	return v, nil
}
