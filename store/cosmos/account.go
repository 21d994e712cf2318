// SPDX-License-Identifier: Apache-2.0

package cosmos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
)

// accountTime bounds a look at the account, which the library begins by itself and in
// which it heeds nobody's deadline.
const accountTime = 5 * time.Second

// errUnfit is why an account cannot be used.
var errUnfit = errors.New("the account cannot keep what a store promises")

// final is an error that the library does not answer by trying again.
type final struct{ error }

// NonRetriable implements the library's interface of that name.
func (final) NonRetriable() {}

func (f final) Unwrap() error { return f.error }

// properties are what an account says about itself.
type properties struct {
	MultipleWriteLocations bool `json:"enableMultipleWriteLocations"`
	Consistency            struct {
		Level string `json:"defaultConsistencyLevel"`
	} `json:"userConsistencyPolicy"`
	Writable []location `json:"writableLocations"`
	Readable []location `json:"readableLocations"`
}

type location struct {
	Endpoint string `json:"databaseAccountEndpoint"`
}

// judge says why an account cannot be used. With several write regions two nodes can both
// change one version of a record, and both are told that it worked: a code would be
// redeemed twice. Below bounded staleness a node may not see what another has written.
func (p properties) judge() error {
	switch {
	case p.MultipleWriteLocations:
		return fmt.Errorf("%w: it has multi-region writes, so that two regions could both redeem one code: switch them off, or use another account", errUnfit)
	case p.Consistency.Level != "Strong" && p.Consistency.Level != "BoundedStaleness":
		return fmt.Errorf("%w: its default consistency is %q, so that a node may not see what another has written: set it to bounded staleness or strong (`az cosmosdb update --default-consistency-level BoundedStaleness`), or use another account",
			errUnfit, p.Consistency.Level)
	}
	return nil
}

// account watches what the library learns about the account, at first and every few
// minutes, and stands between it and the service. It is a policy of both its pipelines.
type account struct {
	state atomic.Pointer[accountState]
}

type accountState struct {
	properties
	// verdict is why the account cannot be used, if so.
	verdict error
	// writer is the host of the write region.
	writer string
}

// Do implements policy.Policy.
func (a *account) Do(req *policy.Request) (*http.Response, error) {
	if isAccountRead(req.Raw()) {
		return a.learn(req)
	}
	s := a.state.Load()
	switch {
	case s == nil:
		return nil, final{errors.New("the account has not said yet what it is")}
	case s.verdict != nil:
		return nil, final{s.verdict}
	case s.writer != "":
		// A read in another region may be behind, even with bounded staleness; in the write
		// region it sees every write. The library would read elsewhere after a failure.
		req.Raw().URL.Host = s.writer
		req.Raw().Host = s.writer
	}
	return req.Next()
}

func isAccountRead(r *http.Request) bool {
	return r.Method == http.MethodGet && (r.URL.Path == "" || r.URL.Path == "/")
}

// learn passes a look at the account on, and keeps what it answers.
func (a *account) learn(req *policy.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Raw().Context(), accountTime)
	defer cancel()
	response, err := req.Clone(ctx).Next()
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	if response.StatusCode != http.StatusOK {
		return response, nil
	}
	s := &accountState{}
	if err := json.Unmarshal(body, &s.properties); err != nil {
		return nil, errors.New("the account says nothing about itself: correct the endpoint")
	}
	s.verdict = s.judge()
	if len(s.Writable) > 0 {
		if u, err := url.Parse(s.Writable[0].Endpoint); err == nil {
			s.writer = u.Host
		}
	}
	a.state.Store(s)
	return response, nil
}

// strong tells whether a failover loses nothing.
func (a *account) strong() bool {
	s := a.state.Load()
	return s != nil && s.Consistency.Level == "Strong"
}

// Interface guard.
var _ policy.Policy = (*account)(nil)
