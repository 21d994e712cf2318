// SPDX-License-Identifier: Apache-2.0

package redis_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/store/redis"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]redis.Target{
		"redis://h":                              {Addresses: []string{"h:6379"}, DB: -1},
		"redis://h:1/3":                          {Addresses: []string{"h:1"}, DB: 3},
		"redis://h/0":                            {Addresses: []string{"h:6379"}},
		"redis://[::1]":                          {Addresses: []string{"[::1]:6379"}, DB: -1},
		"redis://[::1]:7/":                       {Addresses: []string{"[::1]:7"}, DB: -1},
		"rediss://u:p%3D%2F@h:6380":              {Addresses: []string{"h:6380"}, Username: "u", Password: "p=/", TLS: true, DB: -1},
		"redis://:p@h":                           {Addresses: []string{"h:6379"}, Password: "p", DB: -1},
		"unix:///run/redis.sock":                 {Addresses: []string{"/run/redis.sock"}, DB: -1},
		"unix://u:p@/run/redis.sock":             {Addresses: []string{"/run/redis.sock"}, Username: "u", Password: "p", DB: -1},
		"h":                                      {Addresses: []string{"h:6379"}, DB: -1},
		"h:1,i:2, j":                             {Addresses: []string{"h:1", "i:2", "j:6379"}, DB: -1},
		"h:1,PassWord=a==,SSL=True":              {Addresses: []string{"h:1"}, Password: "a==", TLS: true, DB: -1},
		"h:1,ssl=false,user=u,password=p=://x":   {Addresses: []string{"h:1"}, Username: "u", Password: "p=://x", DB: -1},
		"h:1,defaultDatabase=4,sslHost=s,name=n": {Addresses: []string{"h:1"}, DB: 4, ServerName: "s"},
		"h:1,serviceName=m":                      {Addresses: []string{"h:1"}, DB: -1, Sentinel: "m"},
		"mcp.redis.cache.windows.net:6380,password=k=,ssl=True,abortConnect=False": {
			Addresses: []string{"mcp.redis.cache.windows.net:6380"}, Password: "k=", TLS: true, DB: -1,
		},
		"mcp.westeurope.redis.azure.net:10000,password=k=,ssl=True,abortConnect=False,connectTimeout=5000": {
			Addresses: []string{"mcp.westeurope.redis.azure.net:10000"}, Password: "k=", TLS: true, DB: -1,
		},
	} {
		got, err := redis.ParseTarget(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	const hidden = "hidden-words"
	for text, want := range map[string]string{
		"":                                      "not the address of a Redis",
		"http://h":                              "not the address of a Redis",
		"redis://" + hidden + "@":               "not host:port",
		"redis://:" + hidden + "/@h":            "%2F",
		"redis://:" + hidden + "@h:x":           "%2F",
		"redis://:" + hidden + "@h#a":           "not the address of a Redis",
		"redis://:" + hidden + "@h?a=" + hidden: "has a query",
		"redis://:" + hidden + "@h/" + hidden:   "not the number of a database",
		"redis://h:0":                           "not host:port",
		"unix://run/redis.sock":                 "three slashes",
		"unix:///":                              "three slashes",
		"unix:///a?db=1":                        "three slashes",
		",password=" + hidden:                   "not the address of a Redis",
		"h:1,password=" + hidden + ",ssl=x":     "neither True nor False",
		"h:1,password=" + hidden + ",proxy=x":   `option "proxy" is not known`,
		"h:1,password=" + hidden + ",sslHosts=": `option "sslHosts" is not known`,
		"h:1,defaultDatabase=-1":                "defaultDatabase",
		"h:1," + hidden + "/x":                  "not host:port",
	} {
		_, err := redis.ParseTarget(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), hidden) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// FuzzParseTarget wants what is accepted to be usable, and no error to repeat a secret.
func FuzzParseTarget(f *testing.F) {
	for _, text := range []string{"", "redis://u:p@h:1/2", "unix:///a", "h:1,password=a==,ssl=True", "rediss://[::1]:3", "a,b,c=d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := redis.ParseTarget(text)
		if err != nil {
			return
		}
		if len(target.Addresses) == 0 || target.DB < -1 {
			t.Fatalf("%q became %+v", text, target)
		}
		for _, a := range target.Addresses {
			if err := redis.CheckAddress(a); err != nil && !strings.HasPrefix(a, "/") {
				t.Fatalf("%q has the address %q: %v", text, a, err)
			}
		}
	})
}
