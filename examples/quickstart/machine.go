package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

var (
	errDown   = errors.New("the agent does not run")
	errClosed = errors.New("the fleet is being shut down")
)

// client asks agents. Each request has a connection of its own, because agents come and go, and so
// do their ports.
var client = &http.Client{
	Timeout:   2 * time.Second,
	Transport: &http.Transport{DisableKeepAlives: true},
}

// machine is one place where an agent runs: a folder, and the process that runs in it, if any.
type machine struct {
	id   string
	home string

	mu     sync.Mutex
	proc   *process // nil while the agent is down
	closed bool
}

// restart ends the agent and starts it again. It then runs the current release.
func (m *machine) restart(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errClosed
	}
	if m.proc != nil {
		m.proc.stop()
		m.proc = nil
	}
	p, err := startProcess(ctx, m.home)
	if err != nil {
		return err
	}
	m.proc = p
	return nil
}

// shutdown ends the agent for good.
func (m *machine) shutdown() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.proc != nil {
		m.proc.stop()
		m.proc = nil
	}
}

// identity asks the agent for its version.
func (m *machine) identity(ctx context.Context) (identity, error) {
	var id identity
	body, err := m.get(ctx, "/version")
	if err != nil {
		return id, err
	}
	if err := json.Unmarshal(body, &id); err != nil {
		return id, fmt.Errorf("the agent's answer makes no sense: %w", err)
	}
	return id, nil
}

// get sends the agent a request. It returns errDown when the agent has no process.
func (m *machine) get(ctx context.Context, path string) ([]byte, error) {
	m.mu.Lock()
	p := m.proc
	m.mu.Unlock()
	if p == nil {
		return nil, errDown
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		select {
		case <-p.exited:
			return nil, errDown
		default:
			return nil, err
		}
	}
	defer resp.Body.Close() // the file was only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the agent answers %s", resp.Status)
	}
	return body, err
}
