//go:build unix

package crashtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore"
)

// order is what a child process is to do: drive all plans of a database and, meanwhile, tell stories.
type order struct {
	DSN, Schema string
	Fleet       string // address
	Name        string // of the engine; empty: a random one
	Lease       time.Duration
	Stories     []story
	Stay        bool // keep driving when the stories have ended
	Unfenced    bool // the control: commits are never refused
}

func (o order) options() ota.Options {
	return ota.Options{
		Name: o.Name, Lease: o.Lease, Poll: 20 * time.Millisecond, DrainTimeout: time.Second,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
}

// carryOut is the child's main. It prints a line when it begins, and one when the stories have ended.
func (o order) carryOut() error {
	go func() { // its parent is gone when its standard input ends
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := sqlstore.Open(ctx, o.DSN, sqlstore.Options{Schema: o.Schema})
	if err != nil {
		return err
	}
	defer s.Close()
	var store ota.Store = s
	if o.Unfenced {
		store = &unfenced{Store: s, own: map[string]uint64{}}
	}
	e, err := ota.New(store, client{o.Fleet}, o.options())
	if err != nil {
		return err
	}
	fmt.Println("up")
	driving := make(chan error, 1)
	go func() { driving <- e.Run(ctx) }()
	g, gctx := errgroup.WithContext(ctx)
	for _, s := range o.Stories {
		g.Go(func() error { return s.tell(gctx, e) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if !o.Stay {
		fmt.Println("done")
		cancel()
	}
	return <-driving
}

// child is a process that carries out an order.
type child struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	up     chan struct{}
	exited chan struct{}
	err    error // once exited

	mu     sync.Mutex
	stderr bytes.Buffer
}

func startChild(t testing.TB, o order) *child {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(os.Args[0]), up: make(chan struct{}), exited: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	c.cmd.Stderr = c
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.exited)
		s := bufio.NewScanner(stdout)
		if s.Scan() && s.Text() == "up" {
			close(c.up)
		}
		for s.Scan() {
		}
		c.err = c.cmd.Wait()
	}()
	return c
}

// Write takes in what the child has to complain about.
func (c *child) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stderr.Write(b)
}

func (c *child) complaints() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stderr.String()
}

// kill ends the child as nothing else does.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.exited
}
