// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/redis/go-redis/v9"
)

// quiet is where the library's own log goes, which otherwise writes to stderr: to the
// debug level. What an administrator has to know is in errors. The library has one log
// for a process, so the first store decides.
var quiet sync.Once

func keepQuiet(log *slog.Logger) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	quiet.Do(func() { redis.SetLogger(chatter{log}) })
}

type chatter struct{ log *slog.Logger }

// Printf implements the logger of the library.
func (c chatter) Printf(ctx context.Context, format string, args ...any) {
	if c.log.Enabled(ctx, slog.LevelDebug) {
		c.log.DebugContext(ctx, "go-redis", "says", fmt.Sprintf(format, args...))
	}
}
