// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package caddyrun

import "net"

// reserve returns a port that was free a moment ago: only Linux is known to keep one for
// a server that comes to it later.
func reserve() (port int, release func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, func() {}, nil
}
