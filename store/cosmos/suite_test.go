// SPDX-License-Identifier: Apache-2.0

package cosmos

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/azure"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/azuretest"
	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
	"github.com/mcpoauth/caddy-mcp-oauth/store"
	"github.com/mcpoauth/caddy-mcp-oauth/store/storetest"
)

const someKey = "c29tZS1zZWNyZXQta2V5"

// containers counts the containers of this process, so that each has a name of its own.
var containers atomic.Int64

func config(endpoint string) Config {
	return Config{
		Endpoint: strings.TrimSuffix(endpoint, "/"), Key: secret.New(someKey),
		Database: "tests", Container: fmt.Sprintf("container%d", containers.Add(1)),
	}
}

// emulator is a transport that makes the emulator like the service.
type emulator struct{ *http.Client }

func newEmulator() emulator { return emulator{&http.Client{Transport: &http.Transport{}}} }

func (e emulator) Do(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		// Without this header it fails with 500 where an item is absent.
		r.Header.Set("x-ms-documentdb-query-enablecrosspartition", "true")
	}
	response, err := e.Client.Do(r)
	if err != nil || !isAccountRead(r) {
		return response, err
	}
	// It says that it is consistent by session, and is in fact strongly consistent.
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	body = bytes.Replace(body, []byte(`"Session"`), []byte(`"Strong"`), 1)
	response.Body = io.NopCloser(bytes.NewReader(body))
	response.ContentLength = int64(len(body))
	return response, nil
}

func TestSuite(t *testing.T) {
	endpoint := azuretest.Cosmos(t)
	options := azure.ClientOptions()
	options.Transport = newEmulator()
	storetest.Run(t, func(t *testing.T, env store.Env) store.Store {
		s, err := open(t.Context(), config(endpoint), env, options)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}, storetest.OpenSecond(func(t *testing.T, first store.Store, env store.Env) store.Store {
		s, err := open(t.Context(), first.(*Store).config, env, options)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}))
}
