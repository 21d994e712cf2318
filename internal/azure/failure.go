// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// Answer returns status and error code that a service answered with; 0 where it did not
// answer at all.
func Answer(err error) (status int, code string) {
	var response *azcore.ResponseError
	if !errors.As(err, &response) {
		return 0, ""
	}
	return response.StatusCode, response.ErrorCode
}

// Plain returns an error that says what happened without saying what was sent: addresses
// may contain a signature, and answers what was stored. Of the chain only the end of the
// context remains.
func Plain(err error) error {
	if err == nil {
		return nil
	}
	for _, ended := range []error{context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, ended) {
			return fmt.Errorf("no answer in time: %w", ended)
		}
	}
	var refused *azidentity.AuthenticationFailedError
	if errors.As(err, &refused) {
		return fmt.Errorf("no token for the managed identity: %s", firstLine(refused.Error()))
	}
	if status, code := Answer(err); status != 0 {
		return fmt.Errorf("the service answered %d %s", status, printable(code))
	}
	var sent *url.Error
	if errors.As(err, &sent) {
		err = sent.Err
	}
	return errors.New(firstLine(err.Error()))
}

// query is the part of an address that can hold a signature.
var query = regexp.MustCompile(`\?[^\s"']*`)

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return printable(query.ReplaceAllString(line, ""))
}

// printable keeps a text from other hands short and on its line.
func printable(text string) string {
	const longest = 300
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(text) > longest {
		text = text[:longest] + "…"
	}
	return strings.ToValidUTF8(text, "")
}
