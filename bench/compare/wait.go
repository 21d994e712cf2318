// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// patience bounds every wait for something to start.
const patience = 60 * time.Second

var errPatience = fmt.Errorf("not within %s", patience)

// poll asks until the answer is yes.
func poll(yes func() bool) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	for !yes() {
		select {
		case <-again.C:
		case <-late:
			return errPatience
		}
	}
	return nil
}

// await waits until the system listens.
func (s *system) await(p *process) error {
	err := poll(func() bool {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("%s does not listen: %w\n%s", s.addr, err, p.errors())
	}
	return nil
}

// pause lets time pass, unless the run is ended.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errors.New("interrupted")
	}
}
