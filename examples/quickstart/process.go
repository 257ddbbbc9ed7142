package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// process is an agent process that this program started.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer     // closing it ends the agent; it also closes when this process ends in any way
	url    string        // the URL at which it serves
	exited chan struct{} // closed when the process has ended and was waited for
}

// exitError means that an agent process ended by itself instead of serving.
type exitError struct{ lastWords string }

func (e *exitError) Error() string { return e.lastWords }

// startProcess starts the agent program of a machine and returns when it serves. If it fails, no
// process remains.
func startProcess(ctx context.Context, home string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(home, "agent.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the agent has a handle of its own
	p := &process{cmd: exec.Command(self, agentCommand, home), exited: make(chan struct{})}
	p.cmd.Stderr = log
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	address := make(chan string, 1)
	go func() {
		defer close(p.exited)
		r := bufio.NewReader(stdout)
		if line, err := r.ReadString('\n'); err == nil {
			address <- strings.TrimSpace(line)
		}
		_, _ = io.Copy(io.Discard, r)
		_ = p.cmd.Wait()
	}()
	select {
	case p.url = <-address:
		return p, nil
	case <-p.exited:
		return nil, &exitError{lastWords(log.Name())}
	case <-ctx.Done():
		p.stop()
		return nil, fmt.Errorf("the agent did not start: %w", context.Cause(ctx))
	}
}

// stop ends the process, and returns when it has ended.
func (p *process) stop() {
	_ = p.stdin.Close()
	select {
	case <-p.exited:
	case <-time.After(2 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// lastWords returns the last line that a process wrote into its log.
func lastWords(name string) string {
	data, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return "the agent ended without a word"
}
