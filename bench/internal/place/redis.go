package place

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota/bench/internal/meter"
)

// Redis is a server of its own. It appends every write to its file and flushes it before it
// answers.
type Redis struct {
	folder  string
	version string
	server  *exec.Cmd
	exited  chan struct{}
}

// NewRedis starts a server in a folder.
func NewRedis(ctx context.Context, folder string) (*Redis, error) {
	version, err := exec.CommandContext(ctx, "redis-server", "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("redis-server is needed: %w", err)
	}
	r := &Redis{folder: folder, exited: make(chan struct{})}
	for word := range strings.FieldsSeq(string(version)) {
		if v, ok := strings.CutPrefix(word, "v="); ok {
			r.version = v
		}
	}
	args := []string{
		"--port", "0", "--unixsocket", r.Socket(), "--dir", folder,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "", "--daemonize", "no",
	}
	r.server = exec.CommandContext(ctx, "redis-server", args...) //nolint:gosec // a folder of ours
	var output bytes.Buffer
	r.server.Stdout, r.server.Stderr = &output, &output
	r.server.Cancel = func() error { return r.server.Process.Signal(os.Interrupt) }
	if err := r.server.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = r.server.Wait()
		close(r.exited)
	}()
	if err := r.answers(ctx); err != nil {
		r.Close()
		return nil, fmt.Errorf("start redis: %w\n%s", err, output.Bytes())
	}
	return r, nil
}

func (r *Redis) answers(ctx context.Context) error {
	for range 500 {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", r.Socket())
		if err == nil {
			return conn.Close()
		}
		select {
		case <-r.exited:
			return errors.New("it ended at once")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return errors.New("it does not answer")
}

// Socket is the path of the server's socket.
func (r *Redis) Socket() string { return filepath.Join(r.folder, "redis.sock") }

// Version is the server's version.
func (r *Redis) Version() string { return r.version }

// Meter counts the server's processor time, and the flushes of the disk.
func (r *Redis) Meter() meter.Meter {
	return meter.Meter{Server: r.server.Process.Pid, Flushes: meter.Device(r.folder)}
}

// Close ends the server.
func (r *Redis) Close() {
	_ = r.server.Process.Signal(os.Interrupt)
	select {
	case <-r.exited:
	case <-time.After(10 * time.Second):
		_ = r.server.Process.Kill()
		<-r.exited
	}
}
