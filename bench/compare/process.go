// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// process is a child of this program.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
	log   string // file with what it wrote to standard error
	once  sync.Once
}

// spawn runs this program in a role.
func (w *world) spawn(role string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w.spawned++
	p := &process{cmd: exec.Command(self, args...), log: filepath.Join(w.dir, fmt.Sprintf("%s-%d.log", role, w.spawned))}
	p.cmd.Env = append(os.Environ(), roleEnv+"="+role, "XDG_DATA_HOME="+w.dir, "XDG_CONFIG_HOME="+w.dir, "HOME="+w.dir)
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd.Stderr = log
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdin, p.out = in, bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	w.children = append(w.children, p)
	return p, nil
}

// line is the next line that the process prints.
func (p *process) line() (string, error) {
	text, err := p.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, p.errors())
	}
	return strings.TrimSpace(text), nil
}

// listening runs a role that says where it listens.
func (w *world) listening(role string, args ...string) (*process, string, error) {
	p, err := w.spawn(role, args...)
	if err != nil {
		return nil, "", err
	}
	addr, err := p.line()
	return p, addr, err
}

// errors is what the process wrote to standard error.
func (p *process) errors() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// stop ends the process and waits for it.
func (p *process) stop() {
	p.once.Do(func() {
		_ = p.stdin.Close()
		_ = p.cmd.Wait()
	})
}

// playKeep runs an installed program that would outlive its parent: the child that plays
// this ends it.
func playKeep(args []string) error {
	c := exec.Command(args[0], args[1:]...)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	onExit = func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		<-ended
	}
	defer close(ended)
	return c.Wait()
}
