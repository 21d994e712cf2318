// SPDX-License-Identifier: Apache-2.0

// Package e2e holds the end-to-end tests: real Caddy processes with this module in them,
// the official MCP client, a scripted browser, a demo MCP server and an emulator of the
// provider, connected as they are in production and on loopback alone.
//
// The test binary executes itself again as the caddy command, see package caddyrun.
package e2e
