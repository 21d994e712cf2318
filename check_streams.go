// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"fmt"
	"strconv"
	"time"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/policy"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/surface"
)

// maxStreams bounds what one session may hold open.
const maxStreams = 10_000

func checkUntil(v string) error {
	switch policy.Until(v) {
	case policy.UntilSession, policy.UntilToken:
		return nil
	}
	return fmt.Errorf("%q ends no stream: write session, or token to end each with its access token", v)
}

func checkStreamAge(v string) error {
	d, err := surface.ParseDuration(v)
	if err != nil {
		return err
	}
	if d < time.Second || d > day {
		return fmt.Errorf("%s is out of bounds: write 1s to 24h, since a token is checked when a stream begins", v)
	}
	return nil
}

func checkStreams(v string) error {
	if n, err := strconv.Atoi(v); err != nil || n < 1 || n > maxStreams || strconv.Itoa(n) != v {
		return fmt.Errorf("%q is not a number of streams: write 1 to %d, such as 64", v, maxStreams)
	}
	return nil
}

func (r *resolver) streams(raw *Streams) policy.Streams {
	out := policy.DefaultStreams()
	if raw == nil {
		return out
	}
	if raw.Until != "" {
		out.Until = policy.Until(r.value("streams: until", raw.Until, checkUntil))
	}
	if raw.MaxAge != "" {
		out.MaxAge = r.duration("streams: max_age", raw.MaxAge, checkStreamAge)
	}
	if raw.PerSession != "" {
		n, err := strconv.Atoi(r.value("streams: per_session", string(raw.PerSession), checkStreams))
		r.fail("streams: per_session", err)
		out.PerSession = n
	}
	return out
}
