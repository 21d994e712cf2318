// SPDX-License-Identifier: Apache-2.0

package sqlserver

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/mcpoauth/caddy-mcp-oauth/store"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	answer := func(number int32) error { return fmt.Errorf("wrapped: %w", mssql.Error{Number: number}) }
	for _, test := range []struct {
		err           error
		passing, lost bool
		remedy        string
	}{
		{answer(1205), true, false, ""},
		{answer(40613), true, false, ""},
		{answer(2627), true, false, ""},
		{answer(18456), false, false, "correct the user or the password"},
		{answer(4060), false, false, "create the database"},
		{answer(229), false, false, "SELECT, INSERT, UPDATE and DELETE"},
		{answer(262), false, false, "run the migrations by hand"},
		{answer(50000), false, false, ""},
		{driver.ErrBadConn, true, true, ""},
		{io.ErrUnexpectedEOF, true, true, ""},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, true, true, "start the server"},
		{&net.DNSError{Err: "no such host"}, true, true, "correct the server"},
		{errors.New("unable to open tcp connection with host 'x'"), false, false, "start the server"},
		{errors.New("TLS Handshake failed: x509: certificate signed by unknown authority"), false, false, "certificate in the dsn"},
		{context.DeadlineExceeded, false, false, ""},
		{errors.New("else"), false, false, ""},
	} {
		f := classify(test.err)
		if f.Passing != test.passing || f.Lost != test.lost || (test.remedy == "") != (f.Remedy == "") || !strings.Contains(f.Remedy, test.remedy) {
			t.Errorf("%v: %+v", test.err, f)
		}
	}
	for number, refused := range map[int32]bool{1105: true, 9002: true, 3906: false, 1205: false} {
		if err := explain(answer(number)); errors.Is(err, store.ErrRefused) != refused {
			t.Errorf("%d: %v", number, err)
		}
	}
}
