// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "mcp-oauth",
		Usage: "store export|import|check | keys [rotate] | revoke | session",
		Short: "Looks after the state of mcp_oauth sites",
		Long: `
Copies, restores and checks the state of mcp_oauth sites: registrations, grants
and keys, always sealed. Lists their keys and replaces them. Ends sessions, and
explains how they ended.

A store that a running server has open is reached through the server's admin API;
otherwise the command opens the store that the configuration names. Run it with
the environment of the server, since a configuration may take secrets from there.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(storeCommand(), keysCommand(), revokeCommand(), sessionCommand())
		},
	})
}

func storeCommand() *cobra.Command {
	store := &cobra.Command{
		Use:   "store",
		Short: "Copies, restores and checks a store",
	}
	targetFlags(store)
	store.AddCommand(&cobra.Command{
		Use:   "export [<file>]",
		Short: "Writes every record of the store to a file or to standard output",
		Args:  cobra.MaximumNArgs(1),
		RunE:  withTarget(runExport),
	}, &cobra.Command{
		Use:   "import [<file>]",
		Short: "Reads an export, from a file or from standard input, into an empty store",
		Args:  cobra.MaximumNArgs(1),
		RunE:  withTarget(runImport),
	}, &cobra.Command{
		Use:   "check",
		Short: "Opens every record with the keys of the configuration and counts them",
		Args:  cobra.NoArgs,
		RunE:  withTarget(func(t target, _ string) error { return runCheck(t, os.Stdout) }),
	})
	return store
}

// targetFlags adds the flags that findTarget reads, also for the commands below.
func targetFlags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringP("config", "c", "", "Configuration file")
	cmd.PersistentFlags().StringP("adapter", "a", "", "Name of config adapter to apply")
	cmd.PersistentFlags().String("address", "", "The address of the administration API, if not the configuration's")
	cmd.PersistentFlags().String("issuer", "", "The issuer of the one site that is meant; default: all sites")
}

// withTarget finds out which store a command is about, and gives it the file that it
// names, "" for none.
func withTarget(run func(t target, file string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		cmd.SilenceUsage = true
		t, err := findTarget(caddycmd.Flags{FlagSet: cmd.Flags()})
		if err != nil {
			return err
		}
		file := ""
		if len(args) == 1 && args[0] != "-" {
			file = args[0]
		}
		return errors.Join(run(t, file), t.close())
	}
}

func runExport(t target, file string) error {
	if file == "" {
		return t.export(os.Stdout)
	}
	// O_EXCL: an export replaces nothing, least of all the one that is needed.
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(t.export(f), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}

func runImport(t target, file string) error {
	var stream io.ReadSeeker
	if file == "" {
		s, done, err := spool(os.Stdin)
		if err != nil {
			return err
		}
		defer done()
		stream = s
	} else {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		stream = f
	}
	result, err := t.take(stream)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "%d records imported, %d have expired since the export\n", result.Imported, result.Expired)
	return err
}

func runCheck(t target, out io.Writer) error {
	report, err := t.check()
	if err != nil {
		return err
	}
	bad := 0
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "issuer\tkind\topened\torphaned\tbroken")
	for _, s := range report {
		for _, r := range s.Records {
			fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\n", s.Issuer, r.Kind, r.Opened, r.Orphaned, r.Broken)
			bad += r.Orphaned + r.Broken
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d records do not open: broken ones were changed or put in another's place, orphaned ones belong to a keyring that is gone", bad)
	}
	return nil
}
