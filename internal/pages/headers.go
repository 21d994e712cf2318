// SPDX-License-Identifier: Apache-2.0

package pages

import "net/http"

// Referrer policies (W3C Referrer Policy §3). The consent page must not use no-referrer:
// browsers then send "Origin: null" with its form, and the submission could not be told
// from a forged one.
const (
	referrerConsent = "same-origin"
	referrerMessage = "no-referrer"
)

// contentSecurityPolicy allows the one inline style sheet and the empty icon, nothing else.
//
// There is no form-action on purpose: Chromium and WebKit apply it to the whole redirect
// chain that follows the consent form, which leads to the provider and from there to
// whatever address the client registered, loopback and private-use schemes included. It
// would break sign-in, and default-src does not fall back to it. The form's target comes
// from the configuration.
//
// img-src data: is for <link rel="icon" href="data:,">. Without that link browsers ask for
// /favicon.ico, which the guarded application would have to answer, or report a violation
// on every page. An image inside the page can send nothing anywhere.
//
// OAuth 2.1 §7.8 (clickjacking): frame-ancestors, and X-Frame-Options for old browsers.
func contentSecurityPolicy(styleHash string) string {
	return "default-src 'none'; style-src 'sha256-" + styleHash + "'; img-src data:; " +
		"base-uri 'none'; frame-ancestors 'none'"
}

// setHeaders sets what each page carries. Cross-Origin-Opener-Policy is absent because it
// would cut the link between a web client and the window that it opened for sign-in.
// Strict-Transport-Security belongs to all answers and is set elsewhere.
func setHeaders(h http.Header, policy, referrer string) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", referrer)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
