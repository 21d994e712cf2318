// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// ParseDuration reads a length of time in whole seconds, which is what the protocol
// counts in.
func ParseDuration(v string) (time.Duration, error) {
	d, err := caddy.ParseDuration(v)
	if err != nil || d%time.Second != 0 {
		return 0, fmt.Errorf("%q is not a duration in whole seconds: write one such as 90s, 1h30m or 30d", v)
	}
	return d, nil
}
