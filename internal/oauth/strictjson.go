// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a JSON document that a stranger sends.
const maxDepth = 8

var errNotStrict = errors.New("not a strict JSON object")

// strictObject reads a JSON object so that no two readers can see different members in
// it: valid UTF-8, limited depth, no name twice, and no two names that differ in case
// alone (encoding/json would take either for the same field).
func strictObject(body []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, errNotStrict
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errNotStrict
	}
	if err := walkObject(d, maxDepth-1); err != nil {
		return nil, err
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, errNotStrict
	}
	return members, nil
}

func walkObject(d *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return errNotStrict
		}
		name, ok := t.(string)
		if !ok || seen[foldCase(name)] {
			return errNotStrict
		}
		seen[foldCase(name)] = true
		if err := walkValue(d, depth); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

func walkValue(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return errNotStrict
	}
	delim, nested := t.(json.Delim)
	switch {
	case !nested:
		return nil
	case depth == 0:
		return errNotStrict
	case delim == '{':
		return walkObject(d, depth-1)
	}
	for d.More() {
		if err := walkValue(d, depth-1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// foldCase maps strings that strings.EqualFold calls equal to one string. Lower case is
// not enough: the Kelvin sign and the long s fold to k and s.
func foldCase(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, s)
}
