// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc, which Linux fixes for user space.
const tick = 10 * time.Millisecond

// usage is what the processes of a system have used.
type usage struct {
	cpu time.Duration // in user space and in the kernel
	rss int64         // resident now, bytes
}

// usageOf adds up the processes and their descendants.
func usageOf(processes []*process) (usage, error) {
	var u usage
	for _, p := range processes {
		for _, pid := range append(descendants(p.cmd.Process.Pid), p.cmd.Process.Pid) {
			if err := u.add(pid); err != nil {
				return u, err
			}
		}
	}
	return u, nil
}

// descendants are the children of a process, their children and so on.
func descendants(pid int) (all []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for word := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(append(all, child), descendants(child)...)
			}
		}
	}
	return all
}

func (u *usage) add(pid int) error {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return err
	}
	// The name of the program, in parentheses, may hold anything. proc(5): the state is
	// field 3, utime 14, stime 15, rss 24 (pages).
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 22 {
		return fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	for _, i := range []int{14, 15} {
		n, err := strconv.ParseInt(fields[i-3], 10, 64)
		if err != nil {
			return err
		}
		u.cpu += time.Duration(n) * tick
	}
	pages, err := strconv.ParseInt(fields[24-3], 10, 64)
	u.rss += pages * int64(os.Getpagesize())
	return err
}
