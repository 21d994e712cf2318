// SPDX-License-Identifier: Apache-2.0

// Package campaign throws generated requests at a real Caddy.
//
// TestCampaign aims at the guard: the corpus testdata/corpus.txt in full, then random
// combinations of targets, hosts, credentials, headers and bodies, raw over HTTP/1.1,
// HTTP/2 and HTTP/3, at sites of many layouts. Property: what reached a backend bore a
// valid token for exactly the resource that the backend stands for, and shows neither the
// client's token, nor our cookies, nor an identity header that the client made; what is
// honest gets through; nothing is a 5xx. TestBadInput aims at the OAuth endpoints.
//
// MCPOAUTH_CAMPAIGN=quick makes both short. MCPOAUTH_CAMPAIGN_SEED changes the seed, and
// MCPOAUTH_CAMPAIGN_CASE=h2:1234 runs case 1234 over HTTP/2 alone. A failure prints its
// seed, its number, and the request as a line of the corpus.
package campaign
