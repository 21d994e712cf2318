// SPDX-License-Identifier: Apache-2.0

package clienttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// members is a JSON document whose members may have any type.
type members map[string]any

func parse(p Page) (members, error) {
	var m members
	if err := json.Unmarshal(p.Body, &m); err != nil {
		return nil, fmt.Errorf("%.100q: %w", p.Body, err)
	}
	return m, nil
}

func (m members) text(name string) string { s, _ := m[name].(string); return s }

func (m members) list(name string) []string {
	items, _ := m[name].([]any)
	out := make([]string, 0, len(items))
	for _, item := range items {
		s, _ := item.(string)
		out = append(out, s)
	}
	return out
}

// schema is which members a document must have, and of which type every member has to be
// where it is there.
type schema struct {
	required                  []string
	texts, urls, lists, flags []string
}

func (s schema) check(m members) error {
	for _, name := range s.required {
		if _, ok := m[name]; !ok {
			return errors.New(name + " is missing")
		}
	}
	for _, kind := range []struct {
		names []string
		ok    func(any) bool
	}{{s.texts, isText}, {s.urls, isURL}, {s.lists, isList}, {s.flags, isFlag}} {
		for _, name := range kind.names {
			if v, ok := m[name]; ok && !kind.ok(v) {
				return fmt.Errorf("%s is %v", name, v)
			}
		}
	}
	return nil
}

func isText(v any) bool { _, ok := v.(string); return ok }

func isFlag(v any) bool { _, ok := v.(bool); return ok }

func isURL(v any) bool {
	s, ok := v.(string)
	u, err := parseURL(s)
	return ok && err == nil && (u.Scheme == "https" || u.Scheme == "http")
}

func isList(v any) bool {
	items, ok := v.([]any)
	return ok && !slices.ContainsFunc(items, func(item any) bool { return !isText(item) })
}

// parseURL is `new URL(s)` of JavaScript: scheme and host in lower case, without a default
// port, and with a path.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "" || u.Host == "" {
		return nil, fmt.Errorf("%q is not an absolute URL", s)
	}
	u.Host = strings.ToLower(u.Host)
	if u.Scheme == "https" {
		u.Host = strings.TrimSuffix(u.Host, ":443")
	}
	if u.Scheme == "http" {
		u.Host = strings.TrimSuffix(u.Host, ":80")
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }
