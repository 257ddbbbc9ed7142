package sqlstore

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	osexec "os/exec"

	"github.com/seed-19b57ce3/ota"
)

// driveEnv names the file that a child of TestTwoProcessesOnOneFile drives plans of.
const driveEnv = "OTA_TEST_DRIVE"

// drive is the child: an engine on the file, which says every call that it makes, until it is told
// to stop.
func drive(file string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s, err := Open(ctx, file, Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	e, err := ota.New(s, ota.ExecutorFunc(func(_ context.Context, a ota.Attempt) (ota.Result, error) {
		_, err := fmt.Println(a.Key(), a.Epoch)
		time.Sleep(2 * time.Millisecond)
		return ota.Result{Version: a.ToVersion}, err
	}), ota.Options{Poll: 50 * time.Millisecond})
	if err != nil {
		return err
	}
	return e.Run(ctx)
}

// Two processes drive the plans in one file: every plan by one of them at a time, every agent
// called once.
func TestTwoProcessesOnOneFile(t *testing.T) {
	t.Parallel()
	const agents = 30
	file := filepath.Join(t.TempDir(), "plans.db")
	s := place{dsn: file}.open(t)
	e, err := ota.New(s, nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	children := []*child{startChild(t, file), startChild(t, file)}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var ids []string
	for p := 0; p < 12 || children[0].said.Load() == 0 || children[1].said.Load() == 0; p++ { // until both are at work
		plan, err := e.Create(ctx, ota.Spec{Name: "p", ToVersion: "2", Agents: ota.AgentIDs(agentNames(p, agents)...)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Start(ctx, plan.ID, ota.Request{}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, plan.ID)
		time.Sleep(10 * time.Millisecond)
	}
	for _, id := range ids {
		if p, err := e.Wait(ctx, id); err != nil || p.Status != ota.StatusCompleted || p.Counts.Succeeded != agents {
			t.Fatalf("%s %+v, %v", p.Status, p.Counts, err)
		}
	}
	calls := map[string]int{}
	for _, c := range children {
		for _, line := range c.stop(t) {
			calls[line]++
		}
	}
	if len(calls) != len(ids)*agents {
		t.Errorf("%d different calls for %d agents", len(calls), len(ids)*agents)
	}
	for line, n := range calls {
		if n != 1 {
			t.Errorf("%s was called %d times", line, n)
		}
	}
}

func agentNames(plan, n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("agent-%d-%d", plan, i))
	}
	return ids
}

// child is a process that drives plans, and what it said.
type child struct {
	*osexec.Cmd
	said  atomic.Int64 // lines
	lines chan []string
}

func startChild(t *testing.T, file string) *child {
	t.Helper()
	c := &child{Cmd: osexec.CommandContext(t.Context(), os.Args[0]), lines: make(chan []string, 1)}
	c.Env = append(os.Environ(), driveEnv+"="+file)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		var lines []string
		for in := bufio.NewScanner(out); in.Scan(); {
			lines = append(lines, strings.TrimSpace(in.Text()))
			c.said.Add(1)
		}
		c.lines <- lines
	}()
	return c
}

// stop ends the process as an operator would, and returns what it said.
func (c *child) stop(t *testing.T) []string {
	t.Helper()
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	lines := <-c.lines
	if err := c.Wait(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
	return lines
}
