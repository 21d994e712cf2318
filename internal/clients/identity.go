// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/mcpoauth/caddy-mcp-oauth/internal/secret"
)

// Identifiers start with a fixed word, so that none can be taken for the URL of a
// metadata document and secret scanners know a secret when they see one.
const (
	idPrefix     = "dcr_"
	secretPrefix = "mcpo_cs_"
	idLength     = len(idPrefix) + 43 // 32 bytes in base64url
)

// maxName is how many characters of a client's name are kept.
const maxName = 200

// publicID names a public client by what it registered. Without a key, so that the same
// registration has the same id on every node, after a restart and after a key rotation;
// the id of a public client is no secret. Whatever a record says about the client is part
// of its id, so nobody can register first and speak for others. The canonical form is that
// of RFC 8785: members in order, nothing escaped that need not be.
func publicID(r record) string {
	var canonical bytes.Buffer
	enc := json.NewEncoder(&canonical)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		Name      string   `json:"client_name"`
		URI       string   `json:"client_uri"`
		Grants    []string `json:"grant_types"`
		Redirects []string `json:"redirect_uris"`
		Scope     string   `json:"scope"`
	}{r.Name, r.URI, r.Grants, r.Redirects, r.Scope})
	if err != nil {
		panic("clients: strings do not marshal: " + err.Error())
	}
	h := sha256.New()
	h.Write([]byte("mcpo/v1/client"))
	h.Write(bytes.TrimSuffix(canonical.Bytes(), []byte("\n")))
	return idPrefix + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// newCredentials makes the id and the secret of a confidential client.
func newCredentials(rand io.Reader) (id string, sec secret.String, err error) {
	var b [64]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", secret.String{}, fmt.Errorf("clients: reading randomness: %w", err)
	}
	id = idPrefix + base64.RawURLEncoding.EncodeToString(b[:32])
	return id, secret.New(secretPrefix + base64.RawURLEncoding.EncodeToString(b[32:])), nil
}

// isDynamicID tells whether id has the form of a generated id, so that anything else
// costs no read.
func isDynamicID(id string) bool {
	if len(id) != idLength || !strings.HasPrefix(id, idPrefix) {
		return false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(id[len(idPrefix):])
	return err == nil && len(raw) == sha256.Size
}

// cleanName keeps what can be printed: control characters, bidirectional overrides and
// invisible ones could make a page or a log say something else than it does.
func cleanName(name string) string {
	printable := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		default:
			return -1
		}
	}, name)
	runes := []rune(strings.Join(strings.Fields(printable), " "))
	return strings.TrimSpace(string(runes[:min(len(runes), maxName)]))
}
