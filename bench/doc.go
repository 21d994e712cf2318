// SPDX-License-Identifier: Apache-2.0

// Package bench measures what the server costs: Go benchmarks that hand requests to the
// real handler, provisioned by Caddy from a Caddyfile, without a network between them.
// The provider runs in a process of its own, so that neither its allocations nor its
// signatures are counted as the server's. RESULTS.md has the commands and the figures.
package bench
