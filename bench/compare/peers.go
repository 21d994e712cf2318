// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"
)

// authServer is what forward_auth and auth_request ask: it knows one token and answers
// with another, as if it had looked the person up.
func authServer(good string) http.Handler {
	want := "Bearer " + good
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != want {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Authorization", "Bearer made-for-the-backend")
		w.WriteHeader(http.StatusOK)
	})
}

// netHTTPProxy is a reverse proxy of the standard library that checks nothing. Its
// transport keeps as many idle connections for a host as Caddy's does: with the default
// of 2 it would measure the making of connections.
func netHTTPProxy(backend string) (http.Handler, error) {
	target, err := url.Parse(backend)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.SetXForwarded() },
		Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 2 * time.Minute, DisableCompression: true},
	}, nil
}
