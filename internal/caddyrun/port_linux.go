// SPDX-License-Identifier: Apache-2.0

package caddyrun

import (
	"fmt"
	"syscall"
)

// reserve takes a port that nobody has with a socket that is bound and never listens.
// With SO_REUSEADDR on both, Linux lets a server that names the port bind to it as well,
// while neither the choice of a port for bind nor that for connect falls on it.
func reserve() (port int, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, err
	}
	release = func() { _ = syscall.Close(fd) }
	if port, err = bindAny(fd); err != nil {
		release()
		return 0, nil, err
	}
	return port, release, nil
}

func bindAny(fd int) (int, error) {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return 0, err
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	bound, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return 0, fmt.Errorf("bound to a %T", name)
	}
	return bound.Port, nil
}
