// SPDX-License-Identifier: Apache-2.0

package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// expMember is the reserved member with the expiry that decides, in Unix seconds.
const expMember = "exp"

// object takes a JSON object apart. Errors say nothing about its content, which may be
// secret.
func object(b []byte) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil || members == nil {
		return nil, errors.New("value is no JSON object")
	}
	return members, nil
}

// encode marshals a value of a kind into its members.
func encode(value any) (map[string]json.RawMessage, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("vault: marshalling a %T: %w", value, err)
	}
	members, err := object(b)
	if err != nil {
		return nil, fmt.Errorf("vault: a %T: %w", value, err)
	}
	for name := range members {
		// encoding/json also fills a member from a name in another case.
		if strings.EqualFold(name, expMember) {
			return nil, fmt.Errorf("vault: a %T has the reserved member %q", value, name)
		}
	}
	return members, nil
}

// join puts members and expiry together as plaintext; members have the expiry then.
func join(members map[string]json.RawMessage, expires time.Time) ([]byte, error) {
	members[expMember] = fmt.Appendf(nil, "%d", expires.Unix())
	return json.Marshal(members)
}

// expiry reads the deciding expiry out of a plaintext.
func expiry(plaintext []byte) (time.Time, error) {
	var in struct {
		Exp int64 `json:"exp"`
	}
	if err := json.Unmarshal(plaintext, &in); err != nil || in.Exp <= 0 {
		return time.Time{}, errors.New("value is no JSON object with an expiry")
	}
	return time.Unix(in.Exp, 0).UTC(), nil
}

// split returns the members of a plaintext without the expiry.
func split(plaintext []byte) (map[string]json.RawMessage, error) {
	members, err := object(plaintext)
	delete(members, expMember)
	return members, err
}

// carry copies into fresh what stored has and this software does not know, so that a
// read-modify-write by an older node loses nothing that a newer one wrote. known is
// stored as this software would write it: what it lacks is unknown. Members that are
// objects on all three sides are carried likewise; lists are replaced as a whole.
func carry(stored, known, fresh map[string]json.RawMessage) {
	for name, value := range stored {
		k, isKnown := known[name]
		f, isSet := fresh[name]
		switch {
		case !isKnown && !isSet:
			fresh[name] = value
		case isKnown && isSet:
			fresh[name] = carryInto(value, k, f)
		}
	}
}

func carryInto(stored, known, fresh json.RawMessage) json.RawMessage {
	s, errS := object(stored)
	k, errK := object(known)
	f, errF := object(fresh)
	if errS != nil || errK != nil || errF != nil {
		return fresh
	}
	carry(s, k, f)
	merged, err := json.Marshal(f)
	if err != nil {
		return fresh
	}
	return merged
}

func decode[T any](plaintext []byte) (value T, err error) {
	if err = json.Unmarshal(plaintext, &value); err != nil {
		// The cause could quote the value.
		err = fmt.Errorf("vault: value is no %T", value)
	}
	return value, err
}
