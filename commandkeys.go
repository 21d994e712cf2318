// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/clock"
)

// keyTarget is the part of a target that is about keys.
type keyTarget interface {
	keys() ([]siteKeys, error)
	rotate(now bool) ([]siteKeys, error)
}

func keysCommand() *cobra.Command {
	keys := &cobra.Command{
		Use:   "keys",
		Short: "Lists the keys: name, algorithm, state and age, nothing secret",
		Args:  cobra.NoArgs,
		RunE: withTarget(func(t target, _ string) error {
			all, err := t.keys()
			return printKeys(os.Stdout, all, err)
		}),
	}
	targetFlags(keys)
	now := false
	rotate := &cobra.Command{
		Use:   "rotate [--now]",
		Short: "Replaces the keys before their time",
		Long: `
Begins a rotation that is not due yet. The next signing key takes over a day later,
a new root within a minute; nobody notices.

With --now every key that may have leaked is replaced: a new signing key signs at
once, the former ones disappear from the key set, and sign-ins that are under way
begin again. Nobody is signed out. Records that a leaked root sealed stay sealed by
it until they are written again: where somebody may have had the root and the
store, revoke everything, too.`,
		Args: cobra.NoArgs,
		RunE: withTarget(func(t target, _ string) error {
			all, err := t.rotate(now)
			return printKeys(os.Stdout, all, err)
		}),
	}
	rotate.Flags().BoolVar(&now, "now", false, "Replace all keys at once: they may be known to somebody else")
	keys.AddCommand(rotate)
	return keys
}

// printKeys prints a table of keys, unless getting them failed.
func printKeys(out io.Writer, all []siteKeys, err error) error {
	if err != nil {
		return err
	}
	table, now := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0), clock.System()
	fmt.Fprintln(table, "issuer\tkey\tid\talg\tstate\tcreated\tage\tuntil")
	for _, s := range all {
		for _, k := range s.Keys {
			age := ""
			if !k.Created.IsZero() {
				age = brief(now.Sub(k.Created).Truncate(ageStep(now.Sub(k.Created))))
			}
			cells := []string{s.Issuer, k.Use, k.KID, k.Alg, k.State, stamp(k.Created), age, stamp(k.Until)}
			for i, text := range cells {
				cells[i] = cmp.Or(text, "-")
			}
			fmt.Fprintln(table, strings.Join(cells, "\t"))
		}
	}
	return table.Flush()
}

// ageStep is how exactly an age is told.
func ageStep(age time.Duration) time.Duration {
	switch {
	case age >= day:
		return day
	case age >= time.Hour:
		return time.Minute
	default:
		return time.Second
	}
}

func (r *serverStore) keys() (all []siteKeys, err error) {
	return all, r.askFor(&all, http.MethodGet, "keys", nil)
}

func (r *serverStore) rotate(now bool) (all []siteKeys, err error) {
	return all, r.tell(&all, "keys/rotate", rotation{Now: now})
}

func (o *localStore) keys() ([]siteKeys, error) { return o.sel.keys(context.Background(), inspecting) }

func (o *localStore) rotate(now bool) ([]siteKeys, error) {
	return o.sel.rotateKeys(context.Background(), inspecting, now)
}
