// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Fields splits a connection string, which is "Name=value" pairs between semicolons. A
// value may contain "=". The names of the result are written as in known; a name that is
// not known is an error, since a word that is ignored does not do what it says. No error
// contains a value: one of them is a key.
func Fields(text string, known ...string) (map[string]string, error) {
	fields := make(map[string]string)
	for pair := range strings.SplitSeq(text, ";") {
		if pair = strings.TrimSpace(pair); pair == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		if !found {
			return nil, errors.New("one of its parts has no \"=\": copy the whole connection string from the Azure portal, between quotes")
		}
		i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, strings.TrimSpace(name)) })
		if i < 0 {
			return nil, fmt.Errorf("one of its parts has a name that is unknown here; known are %s", strings.Join(known, ", "))
		}
		if _, twice := fields[known[i]]; twice {
			return nil, fmt.Errorf("%s is in it twice: keep one", known[i])
		}
		fields[known[i]] = strings.TrimSpace(value)
	}
	return fields, nil
}

// CheckKey checks the form of an account key.
func CheckKey(key string) error {
	if raw, err := base64.StdEncoding.DecodeString(key); err != nil || len(raw) == 0 {
		return errors.New("its AccountKey is not base64: copy the whole connection string from the Azure portal, between quotes")
	}
	return nil
}
