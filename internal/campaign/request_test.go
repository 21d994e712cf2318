// SPDX-License-Identifier: Apache-2.0

package campaign

import (
	"fmt"
	"strconv"
	"strings"
)

// field is one header line, as it is sent.
type field struct{ name, value string }

// request is one case. Its texts may hold {placeholders}, which are filled in when it is
// sent: {host}, {name}, {port}, {path} and {origin} of the resource, {id}, {huge} for a
// megabyte, and {valid} and the other kinds of credentials.
type request struct {
	site           string
	method, target string
	// host is the Host header or :authority; "-" sends none.
	host   string
	fields []field
	// body is sent with its length, or in chunks, or as DATA frames.
	body     string
	chunked  bool
	trailers []field
	// tail is written behind an HTTP/1.1 request, as if it were the next one.
	tail string
	// honest tells that the request has to get through; want is the status that it has to
	// get, zero for any.
	honest bool
	want   int
	// only is the protocol for which the case is meant; "" means all.
	only string
}

// String is the request as a line of the corpus.
func (r *request) String() string {
	var b strings.Builder
	text := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s=%s ", key, strconv.Quote(value))
		}
	}
	text("only", r.only)
	text("site", r.site)
	text("method", r.method)
	text("target", r.target)
	text("host", r.host)
	for _, f := range r.fields {
		text("header", f.name+":"+f.value)
	}
	text("body", r.body)
	for _, f := range r.trailers {
		text("trailer", f.name+":"+f.value)
	}
	text("tail", r.tail)
	if r.chunked {
		b.WriteString("chunked ")
	}
	if r.honest {
		b.WriteString("honest ")
	}
	if r.want != 0 {
		fmt.Fprintf(&b, "want=%q ", strconv.Itoa(r.want))
	}
	return strings.TrimSpace(b.String())
}

// parseRequest is the reverse of String. What a line leaves out is honest: a GET of the
// resource at its own host.
func parseRequest(line string) (*request, error) {
	r := &request{site: "proxy", method: "GET", target: "{path}", host: "{host}"}
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		end := strings.IndexAny(line, "= ")
		if end < 0 {
			end = len(line)
		}
		key := line[:end]
		line = line[end:]
		value := ""
		if strings.HasPrefix(line, "=") {
			quoted, err := strconv.QuotedPrefix(line[1:])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			line = line[1+len(quoted):]
			if value, err = strconv.Unquote(quoted); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
		if err := r.set(key, value); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *request) set(key, value string) (err error) {
	name, rest, _ := strings.Cut(value, ":")
	switch key {
	case "only":
		r.only = value
	case "site":
		r.site = value
	case "method":
		r.method = value
	case "target":
		r.target = value
	case "host":
		r.host = value
	case "header":
		r.fields = append(r.fields, field{name, rest})
	case "body":
		r.body = value
	case "trailer":
		r.trailers = append(r.trailers, field{name, rest})
	case "tail":
		r.tail = value
	case "chunked":
		r.chunked = true
	case "honest":
		r.honest = true
	case "want":
		r.want, err = strconv.Atoi(value)
	default:
		err = fmt.Errorf("no such key: %q", key)
	}
	return err
}

// expand returns the request as it is sent.
func (r *request) expand(s *site, id string) *request {
	out := *r
	for _, text := range []*string{&out.method, &out.target, &out.host, &out.body, &out.tail} {
		*text = s.expand(*text, id)
	}
	out.fields, out.trailers = expandFields(s, r.fields, id), expandFields(s, r.trailers, id)
	// First: what follows may end the head early, or go on where a line ended.
	out.fields = append([]field{{idHeader, id}, {"Accept-Language", "en"}}, out.fields...)
	return &out
}

func expandFields(s *site, fields []field, id string) []field {
	out := make([]field, 0, len(fields))
	for _, f := range fields {
		if f.name == manyFields {
			for i := range 10_000 {
				out = append(out, field{fmt.Sprintf("X-Many-%d", i), f.value})
			}
			continue
		}
		out = append(out, field{s.expand(f.name, id), s.expand(f.value, id)})
	}
	return out
}

// manyFields stands for ten thousand header lines.
const manyFields = "{many}"

// suits tells whether a case is meant for the protocol.
func (r *request) suits(protocol string) bool {
	return r.only == "" || strings.Contains(r.only, protocol)
}

func (r *request) has(name string) bool { return len(values(r.fields, name)) > 0 }
