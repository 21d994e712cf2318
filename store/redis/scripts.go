// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"context"
	_ "embed" // the scripts are readable files
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed lua/record.lua
	recordLua string
	//go:embed lua/create.lua
	createLua string
	//go:embed lua/update.lua
	updateLua string
	//go:embed lua/delete.lua
	deleteLua string
	//go:embed lua/look.lua
	lookLua string
	//go:embed lua/index.lua
	indexLua string
)

// The scripts. Each touches one key alone, so that they run in a cluster, and uses
// nothing that Redis 6.0 does not have.
var (
	createScript = redis.NewScript(recordLua + createLua)
	updateScript = redis.NewScript(recordLua + updateLua)
	deleteScript = redis.NewScript(recordLua + deleteLua)
	lookScript   = redis.NewScript(lookLua)
	indexScript  = redis.NewScript(indexLua)
)

// call is one run of a script.
type call struct {
	script *redis.Script
	key    string
	args   []any
}

// run runs a script on the server that has the key. The server knows scripts by their
// hash; one that does not know this one yet is sent its text.
func (s *Store) run(ctx context.Context, c call) (string, error) {
	text, err := c.script.Run(ctx, s.client, []string{c.key}, c.args...).Text()
	if err != nil {
		return "", explain(err)
	}
	return text, nil
}

// runAll runs scripts at once, in one round trip where the servers know them. Its error
// is the first one; the answers of the others are there nevertheless.
func (s *Store) runAll(ctx context.Context, calls []call) ([]string, error) {
	answers := make([]string, len(calls))
	errs := make([]error, len(calls))
	all := make([]int, len(calls))
	for i := range all {
		all[i] = i
	}
	unknown := s.pipeline(ctx, calls, all, answers, errs, func(p redis.Pipeliner, c call) *redis.Cmd {
		return c.script.EvalSha(ctx, p, []string{c.key}, c.args...)
	})
	if len(unknown) > 0 {
		s.pipeline(ctx, calls, unknown, answers, errs, func(p redis.Pipeliner, c call) *redis.Cmd {
			return c.script.Eval(ctx, p, []string{c.key}, c.args...)
		})
	}
	for _, err := range errs {
		if err != nil {
			return answers, explain(err)
		}
	}
	return answers, nil
}

// pipeline runs some of the calls and returns those whose script the server does not know.
func (s *Store) pipeline(ctx context.Context, calls []call, which []int, answers []string, errs []error,
	send func(redis.Pipeliner, call) *redis.Cmd,
) (unknown []int) {
	if len(which) == 0 {
		return nil
	}
	p := s.client.Pipeline()
	cmds := make([]*redis.Cmd, len(which))
	for n, i := range which {
		cmds[n] = send(p, calls[i])
	}
	_, _ = p.Exec(ctx) // each command has its own error
	for n, i := range which {
		answers[i], errs[i] = cmds[n].Text()
		if errs[i] != nil && strings.HasPrefix(errs[i].Error(), "NOSCRIPT") {
			unknown = append(unknown, i)
		}
	}
	return unknown
}
