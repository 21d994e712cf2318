// SPDX-License-Identifier: Apache-2.0

// Command quickstart shows mcp_oauth at work on one machine: a demo MCP server, an
// emulator of Microsoft Entra ID, and Caddy between them with the Caddyfile of README.md.
//
//	go run ./examples/quickstart                        serve until Ctrl-C
//	go run ./examples/quickstart -addr localhost:9090   on another port
//	go run ./examples/quickstart -check                 walk the whole flow once and exit
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// checkTime bounds the walk of -check, which takes a second or two.
const checkTime = 2 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, messages io.Writer) error {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(messages)
	addr := flags.String("addr", "localhost:8080", "loopback `address` that Caddy listens on")
	check := flags.Bool("check", false, "walk the whole flow with the official Go client, then exit")
	debug := flags.Bool("debug", false, "show Caddy's log")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	world, err := start(*addr, *debug)
	if err != nil {
		return err
	}
	defer world.stop()
	if *check {
		ctx, cancel := context.WithTimeout(ctx, checkTime)
		defer cancel()
		return walk(ctx, world, out)
	}
	fmt.Fprintf(out, welcome, world.resource, world.emulator.URL(), world.backend)
	<-ctx.Done()
	fmt.Fprintln(out, "Stopping.")
	return nil
}

// welcome is what people read; its verbs are the resource, the emulator, the MCP server.
const welcome = `
The MCP server is at  %[1]s

  Entra ID (emulated)  %[2]s
  MCP server behind    %[3]s

Connect a client, then choose an account on the page that opens; no password is needed.

  Claude Code   claude mcp add --transport http demo %[1]s
                then /mcp in Claude Code, demo, Authenticate

  VS Code       code --add-mcp '{"name":"demo","type":"http","url":"%[1]s"}'

  Inspector     npx @modelcontextprotocol/inspector
                Transport Type "Streamable HTTP", URL %[1]s, Connect

The tools are whoami, echo and count. Registrations and sign-ins last until Ctrl-C.
`
