package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota/examples/internal/program"
)

// TestMain makes the test binary the quickstart when a test starts it as such, agents included.
func TestMain(m *testing.M) { program.Main(m, main) }

// quickstart is the program, started by a test.
type quickstart struct {
	*exec.Cmd
	dir string // each of its processes has this in its arguments
	out program.Output
}

func prepareQuickstart(t *testing.T, args ...string) *quickstart {
	t.Helper()
	q := &quickstart{Cmd: program.Command(args...), dir: t.TempDir()}
	q.Env = append(q.Env, "TMPDIR="+q.dir)
	q.Stdout, q.Stderr = &q.out, &q.out
	t.Cleanup(func() {
		if q.Process != nil {
			_ = q.Process.Kill()
		}
	})
	return q
}

func startQuickstart(t *testing.T, args ...string) *quickstart {
	t.Helper()
	q := prepareQuickstart(t, args...)
	if err := q.Start(); err != nil {
		t.Fatal(err)
	}
	return q
}

// awaitLine waits until the program has printed something.
func (q *quickstart) awaitLine(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(q.out.String(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never printed %q:\n%s", text, q.out.String())
		}
	}
}

// agents counts the processes that belong to the program.
func (q *quickstart) agents(t *testing.T) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("processes are counted in /proc")
	}
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range names {
		if line, err := os.ReadFile(name); err == nil && bytes.Contains(line, []byte(q.dir)) {
			n++
		}
	}
	return n
}

func (q *quickstart) noneLeft(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); q.agents(t) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d agents are left:\n%s", q.agents(t), q.out.String())
		}
	}
}

func (q *quickstart) nothingLeft(t *testing.T) {
	t.Helper()
	if left, err := os.ReadDir(q.dir); err != nil || len(left) > 0 {
		t.Errorf("the temporary folder is left: %v, %v", left, err)
	}
}

func TestQuickstart(t *testing.T) {
	t.Parallel()
	q := startQuickstart(t, "-agents", "12", "-batch", "5", "-v")
	q.awaitLine(t, "Asked all 12 agents")
	if n := q.agents(t); n < 7 || n > 12 { // the first five may be on their way to 1.3.0 by now
		t.Errorf("%d agents run, want 12", n)
	}
	if err := q.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, q.out.String())
	}
	for _, want := range []string{
		"Asked all 12 agents: 1.2.0 on 12",
		"12 agents in 3 batches: ",
		"A release that breaks every agent reaches, if health is asked or reported:",
		"release 1.3.0 needs io_uring",
		"Failure threshold exceeded",
		"the plan is paused",
		"A breach stands and needs a decision",
		"Possible now: resume",
		" taken back, ",
		"Asked all 12 agents: 1.3.1 on 12; the plan's records say the same of each",
		"rolled_back",
	} {
		if !strings.Contains(q.out.String(), want) {
			t.Errorf("it did not print %q", want)
		}
	}
	if t.Failed() {
		t.Log(q.out.String())
	}
	q.noneLeft(t)
	q.nothingLeft(t)
}

func TestInterrupted(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			q := startQuickstart(t, "-agents", "12", "-batch", "4")
			q.awaitLine(t, "batch 1 begins")
			if err := q.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			var exit *exec.ExitError
			if err := q.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
				t.Errorf("it ended with %v, want exit status 130\n%s", err, q.out.String())
			}
			if n := q.agents(t); n > 0 {
				t.Errorf("%d agents are left when it has ended\n%s", n, q.out.String())
			}
			q.nothingLeft(t)
		})
	}
}

func TestKilled(t *testing.T) {
	t.Parallel()
	q := startQuickstart(t, "-agents", "12", "-batch", "4")
	q.awaitLine(t, "batch 1 begins")
	if n := q.agents(t); n == 0 {
		t.Error("no agent runs: this test proves nothing")
	}
	if err := q.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = q.Wait()
	q.noneLeft(t)
}

// A reader that stops reading, such as head(1), ends it as well.
func TestUnread(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	q := prepareQuickstart(t, "-agents", "4")
	q.Stdout = w
	if err := errors.Join(q.Start(), w.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := q.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("it ended with %v, want exit status 130\n%s", err, q.out.String())
	}
	q.noneLeft(t)
	q.nothingLeft(t)
}
