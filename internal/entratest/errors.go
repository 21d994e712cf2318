// SPDX-License-Identifier: Apache-2.0

package entratest

import (
	"fmt"
	"net/http"
)

// refusal is an error of Microsoft: its OAuth code, its number, its text.
type refusal struct {
	code   string
	number int
	text   string
}

// describe is the text of an error with the lines that Microsoft appends.
func (e *Emulator) describe(no *refusal) string {
	return fmt.Sprintf("AADSTS%d: %s\r\nTrace ID: %s\r\nCorrelation ID: %s\r\nTimestamp: %s",
		no.number, no.text, e.guid(), e.guid(), e.now().UTC().Format("2006-01-02 15:04:05Z"))
}

// refuse writes an error of the token endpoint with all of its members.
func (e *Emulator) refuse(w http.ResponseWriter, status int, code string, number int, text string) {
	trace, correlation, at := e.guid(), e.guid(), e.now().UTC().Format("2006-01-02 15:04:05Z")
	writeJSON(w, status, map[string]any{
		"error":             code,
		"error_description": fmt.Sprintf("AADSTS%d: %s\r\nTrace ID: %s\r\nCorrelation ID: %s\r\nTimestamp: %s", number, text, trace, correlation, at),
		"error_codes":       []int{number},
		"timestamp":         at,
		"trace_id":          trace,
		"correlation_id":    correlation,
		"error_uri":         fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", number),
	})
}
