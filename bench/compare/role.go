// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/mcpoauth/caddy-mcp-oauth"
)

// roleEnv is set in the environment of a child and says what it plays: the program runs
// itself for everything that is not an installed program, so one `go run` builds it all.
const roleEnv = "MCPOAUTH_COMPARE"

// play is the main function of a child. A child ends when its standard input does, which
// is when its parent ends, however that ends.
func play(role string, args []string) error {
	switch role {
	case "load":
		return playLoad(args)
	case "flood":
		return playFlood(args)
	case "seed":
		return playSeed(args)
	case "inprocess":
		return playInProcess(args)
	}
	go exitWithParent()
	switch role {
	case "caddy":
		os.Args = append([]string{"caddy"}, args...)
		caddycmd.Main()
		return nil
	case "keep":
		return playKeep(args)
	case "backend":
		return serve(backend())
	case "auth":
		return serve(authServer(args[0]))
	case "nethttp":
		h, err := netHTTPProxy(args[0])
		if err != nil {
			return err
		}
		return serve(h)
	}
	return fmt.Errorf("there is no role %q", role)
}

func exitWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	onExit()
	os.Exit(0)
}

// onExit ends what a child has started itself.
var onExit = func() {}

// serve serves on a port of the system's choice and says which on standard output.
func serve(h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(l)
}
