// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"net/http"
	"time"
)

// backToApp is the advice where no link can help.
const backToApp = "Go back to the app and connect again."

// restart is the link that shows the consent page again; nil without a URL.
func restart(url string) *Link {
	if url == "" {
		return nil
	}
	return &Link{Label: "Start again", Href: url}
}

// restartAdvice says what to do where Start again may be missing.
func restartAdvice(url, withLink string) string {
	if url == "" {
		return backToApp
	}
	return withLink
}

// backTo is the link that takes the answer to the client; nil without a URL. It names
// the address, since the person decides whether to go there.
func backTo(clientURL string) *Link {
	if clientURL == "" {
		return nil
	}
	return &Link{Label: "Back to the app", Href: clientURL, Note: "This opens " + targetOf(clientURL).host}
}

// BadClient is for a client that is not known, or no longer. It never redirects:
// RFC 6749 §4.1.2.1.
func BadClient() Message {
	return Message{
		Status:  http.StatusBadRequest,
		Title:   "This app is not registered here",
		Text:    "The app that sent you is not known to this server, or its registration has ended.",
		Advice:  "Go back to the app, remove this connection and add it again.",
		Contact: true,
	}
}

// BadRedirect is for a redirect URI that the client did not register. RFC 6749
// §4.1.2.1: the server MUST NOT automatically redirect the user agent to it.
func BadRedirect() Message {
	return Message{
		Status:  http.StatusBadRequest,
		Title:   "The return address does not match",
		Text:    "The app asked for the answer at an address that it has not registered. Nothing was sent there.",
		Advice:  "Go back to the app, remove this connection and add it again. If you did not come from an app that you know, close this page.",
		Contact: true,
	}
}

// BadRequest is for any other fault of the request; text is one fixed sentence.
func BadRequest(text string) Message {
	return Message{
		Status:  http.StatusBadRequest,
		Title:   "This request cannot be used",
		Text:    text,
		Advice:  backToApp,
		Contact: true,
	}
}

// ReturnToClient is for an error that belongs to the client, where the address is not one
// to which a browser may be sent without a click. text is one fixed sentence.
func ReturnToClient(clientURL, text string) Message {
	return Message{
		Status: http.StatusBadRequest,
		Title:  "The app’s request cannot be completed",
		Text:   text,
		Advice: "You can tell the app so by going back to it. If you do not know the address below, close this page.",
		Next:   backTo(clientURL),
	}
}

// Expired is for a sign-in that took longer than it may.
func Expired(restartURL string) Message {
	return Message{
		Status: http.StatusBadRequest,
		Title:  "This sign-in has expired",
		Text:   "For your safety a sign-in has to be completed within a few minutes.",
		Advice: restartAdvice(restartURL, "Start again, or go back to the app and connect again."),
		Next:   restart(restartURL),
	}
}

// AlreadyUsed is for a sign-in that was completed, cancelled or is open elsewhere: the
// back button, a second tab.
func AlreadyUsed(restartURL string) Message {
	return Message{
		Status: http.StatusBadRequest,
		Title:  "This sign-in was already used",
		Text:   "Each sign-in works once. If the app is connected, you can close this page.",
		Advice: restartAdvice(restartURL, "Otherwise start again."),
		Next:   restart(restartURL),
	}
}

// OtherBrowser is for an answer of the provider in a browser that did not start this
// sign-in, or that kept no cookie. Nothing was granted.
func OtherBrowser(restartURL string) Message {
	return Message{
		Status: http.StatusBadRequest,
		Title:  "This sign-in was started elsewhere",
		Text:   "It began in another browser or window, or this browser does not keep cookies for this site. It was stopped, and nothing was shared.",
		Advice: restartAdvice(restartURL, "If you want to connect the app, start again in this browser. If somebody sent you a link, close this page."),
		Next:   restart(restartURL),
	}
}

// FormRefused is for a consent form that did not come from our own page in this browser.
func FormRefused(restartURL string) Message {
	return Message{
		Status: http.StatusForbidden,
		Title:  "This form cannot be accepted",
		Text:   "It was not sent from this site’s own page in this browser, or the browser does not keep cookies for this site.",
		Advice: restartAdvice(restartURL, "Allow cookies for this site, then start again."),
		Next:   restart(restartURL),
	}
}

// ProviderFailed is for a definite no of the provider, a cancelled sign-in included.
// providerRef is the provider's own correlation id; may be empty.
func ProviderFailed(restartURL, providerRef string) Message {
	return Message{
		Status:      http.StatusBadRequest,
		Title:       "Sign-in was not completed",
		Text:        "The sign-in service did not confirm who you are. Nothing was shared with the app.",
		Advice:      restartAdvice(restartURL, "Start again, perhaps with another account."),
		ProviderRef: providerRef,
		Next:        restart(restartURL),
		Contact:     true,
	}
}

// NotAllowed is for a person whom the provider knows and the administrator's rules do not
// admit. account is whom the provider named, for display, and reason one fixed sentence;
// both may be empty. clientURL carries access_denied to the client.
func NotAllowed(account, reason, clientURL string) Message {
	text := or(reason, "Your account may not use this server.")
	if account != "" {
		text = "You signed in as " + clean(account, nameRunes) + ". " + text
	}
	return Message{
		Status:  http.StatusForbidden,
		Title:   "You do not have access",
		Text:    text,
		Advice:  "If you think that you should have access, ask your administrator and give the reference below.",
		Next:    backTo(clientURL),
		Contact: true,
	}
}

// Unavailable is for an unknown outcome: the store or the provider did not answer.
// retryURL repeats the request; may be empty. after is the Retry-After header.
func Unavailable(retryURL string, after time.Duration) Message {
	m := Message{
		Status:     http.StatusServiceUnavailable,
		Title:      "Temporarily unavailable",
		Text:       "This server cannot answer right now. Nothing was lost.",
		Advice:     "Wait a moment, then try again.",
		RetryAfter: after,
		Contact:    true,
	}
	if retryURL != "" {
		m.Next = &Link{Label: "Try again", Href: retryURL}
	}
	return m
}

// TooMany is for an address that asks too often; after is the Retry-After header.
func TooMany(after time.Duration) Message {
	return Message{
		Status:     http.StatusTooManyRequests,
		Title:      "Too many sign-ins",
		Text:       "There were too many sign-ins from your network in a short time.",
		Advice:     "Wait a minute, then go back to the app and connect again. If you did not start them, close this page.",
		RetryAfter: after,
	}
}

// MethodNotAllowed is for a page asked for with another method; allow is the Allow header.
func MethodNotAllowed(allow string) Message {
	return Message{
		Status: http.StatusMethodNotAllowed,
		Title:  "This page cannot be opened this way",
		Text:   "The address exists, but not for this kind of request.",
		Advice: backToApp,
		Allow:  allow,
	}
}
