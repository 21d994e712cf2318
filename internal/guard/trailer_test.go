// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
)

// Some backends put the trailers of a request among its headers.
func TestSec_J01_NoTrailerReachesTheBackend(t *testing.T) {
	t.Parallel()
	trailers := make(chan http.Header, 1)
	address, _ := front(t, setup(), func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		trailers <- r.Trailer
		ok(w, r)
	})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const request = "POST /mcp HTTP/1.1\r\nHost: h.example\r\nAuthorization: Bearer " + good + "\r\nTrailer: Authorization, X-User-Email\r\n" +
		"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nAuthorization: Bearer mine\r\nX-User-Email: admin@h.example\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != http.StatusNoContent {
		t.Fatalf("%v %v", res, err)
	}
	if got := <-trailers; len(got) > 0 {
		t.Errorf("the backend got the trailers %v", got)
	}
}
