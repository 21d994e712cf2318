// SPDX-License-Identifier: Apache-2.0

package mcpoauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/grants"
)

// sessionTarget is the part of a target that is about sessions.
type sessionTarget interface {
	revoke(what grants.Selection) ([]siteRevocation, error)
	sessions(of string) (sessionList, error)
}

func revokeCommand() *cobra.Command {
	var what grants.Selection
	revoke := &cobra.Command{
		Use:   "revoke --person <id> | --client <id> | --resource <url> | --all",
		Short: "Ends sessions",
		Long: `
Ends every session that is meant, with all of its tokens and open streams, and every
sign-in that is under way, and prints how many sessions ended. Whoever signs in
afterwards is not affected: close an account with the provider first.

A person is named by the sub of the JWT, an Entra object id, a user name or an e-mail
address. Doing it twice does no harm.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withSelection(cmd, what, os.Stdout)
		},
	}
	targetFlags(revoke)
	revoke.Flags().StringVar(&what.Person, "person", "", "The sessions of one person")
	revoke.Flags().StringVar(&what.Client, "client", "", "The sessions of one client, of all persons")
	revoke.Flags().StringVar(&what.Resource, "resource", "", "The sessions for one resource, by its URL")
	revoke.Flags().BoolVar(&what.All, "all", false, "Every session")
	return revoke
}

// withSelection refuses what means nobody before it looks for a store.
func withSelection(cmd *cobra.Command, what grants.Selection, out io.Writer) error {
	if err := what.Check(); err != nil {
		return err
	}
	return withTarget(func(t target, _ string) error {
		all, err := t.revoke(what)
		if err != nil {
			return err
		}
		total := 0
		for _, s := range all {
			total += s.Ended
		}
		sessions := "sessions"
		if total == 1 {
			sessions = "session"
		}
		_, err = fmt.Fprintf(out, "%d %s ended\n", total, sessions)
		return err
	})(cmd, nil)
}

func sessionCommand() *cobra.Command {
	session := &cobra.Command{
		Use:   "session <reference> | <person> | <client>",
		Short: "Explains sessions: how they began, were refreshed and ended",
		Long: `
Prints the sessions of a person or client, or the one that a reference id stands for,
which a client showed when its session had ended. Ended ones are kept for 30 days.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withTarget(func(t target, _ string) error {
				all, err := t.sessions(args[0])
				if err != nil {
					return err
				}
				return printSessions(os.Stdout, args[0], all)
			})(cmd, nil)
		},
	}
	targetFlags(session)
	return session
}

var errNoSession = errors.New("there is no such session: one that ended more than 30 days ago, or that was not used for tokens { refresh_idle }, has left no record")

func printSessions(out io.Writer, what string, all sessionList) error {
	if len(all.Sessions) == 0 {
		return fmt.Errorf("%s: %w", plain(what), errNoSession)
	}
	var b bytes.Buffer
	for i, s := range all.Sessions {
		if i > 0 {
			b.WriteByte('\n')
		}
		s.print(&b)
	}
	if all.More > 0 {
		fmt.Fprintf(&b, "\nand %d more\n", all.More)
	}
	_, err := out.Write(b.Bytes())
	return err
}

// print writes one session. What clients and providers chose is made fit for a terminal.
func (s *siteSession) print(b *bytes.Buffer) {
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "%-10s %s\n", name, plain(text))
		}
	}
	person := s.Person
	if s.Username != "" {
		person += " (" + s.Username + ")"
	}
	line("session", s.Grant)
	line("person", person)
	line("client", s.Client)
	line("resource", s.Resource+" ("+s.Scope+")")
	line("created", stamp(s.Created))
	line("refreshed", s.refreshed())
	line("verified", stamp(s.Checked))
	if e := s.Ended; e == nil {
		line("state", fmt.Sprintf("alive, %d access tokens; ends at %s unless it is refreshed", s.AccessTokens, stamp(s.Expires)))
	} else {
		line("ended", stamp(e.Time)+", by "+e.By+": "+meaning(e.Reason))
		line("reference", e.Ref)
		line("provider's", e.Provider)
	}
	for _, e := range s.History {
		line("", strings.Join(strings.Fields(strings.Join([]string{stamp(e.Time), e.Event, e.Mode, e.Address, e.Ref}, " ")), "  "))
	}
}

// refreshed says when and how.
func (s *siteSession) refreshed() string {
	if s.Refreshed.IsZero() {
		return "never"
	}
	text := stamp(s.Refreshed) + ", " + times(s.Rotations)
	if s.Recovered > 0 {
		text += ", and again after a lost answer " + times(s.Recovered)
	}
	if s.Mode != "" {
		text += "; the last was " + s.Mode
	}
	return text
}

func times(n uint32) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// meanings say in words why a session ended; a provider's reasons are its own.
var meanings = map[string]string{
	grants.ReasonByClient: "the client gave its token back",
	grants.ReasonPerson:   "the person was revoked",
	grants.ReasonClient:   "the client was revoked",
	grants.ReasonResource: "the resource was revoked",
	grants.ReasonAll:      "everything was revoked",
	grants.ReasonReplay:   "its authorization code was used a second time",
	grants.ReasonReuse:    "a refresh token that was replaced long ago was used again",
	grants.ReasonPolicy:   "the allow rules no longer permit the person",
}

func meaning(reason string) string {
	if text := meanings[reason]; text != "" {
		return text + " (" + reason + ")"
	}
	return "the provider said " + reason
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func (r *serverStore) revoke(what grants.Selection) (all []siteRevocation, err error) {
	return all, r.tell(&all, "revoke", what)
}

func (r *serverStore) sessions(of string) (all sessionList, err error) {
	return all, r.tell(&all, "sessions", question{Of: of})
}

func (o *localStore) revoke(what grants.Selection) ([]siteRevocation, error) {
	return o.sel.revoke(context.Background(), inspectingGrants, what)
}

func (o *localStore) sessions(of string) (sessionList, error) {
	return o.sel.sessions(context.Background(), inspectingGrants, of)
}
