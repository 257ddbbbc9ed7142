package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/seed-19b57ce3/ota/bench/internal/record"
)

// longest limits the time of one measurement, so that a measurement that hangs does not stop the
// others.
const longest = 6 * time.Minute

// spawn takes a measurement in a process of its own. So no measurement inherits the memory of
// another, and one that fails does not end the others.
func (o options) spawn(ctx context.Context, m measurement) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	folder, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if err := os.Chmod(folder, 0o755); err != nil { //nolint:gosec // servers run as other users
		return err
	}
	args := []string{"-child", m.name, "-rounds", strconv.Itoa(o.rounds), "-out", o.out, "-quick=" + strconv.FormatBool(o.quick)}
	cmd := exec.CommandContext(ctx, self, args...) //nolint:gosec // the program is this one
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "TMPDIR="+folder) // so that its temporary files are always removed
	err = cmd.Run()
	if ctx.Err() != nil {
		return fmt.Errorf("not done after %v", longest)
	}
	return err
}

// measure takes the measurement that o names, in this process, and saves it.
func (o options) measure(ctx context.Context) error {
	m, order, err := find(o.child)
	if err != nil {
		return err
	}
	t := &trial{rounds: o.rounds, quick: o.quick}
	if o.quick {
		t.rounds = min(t.rounds, 2)
	}
	if t.folder, err = os.MkdirTemp("", "files"); err != nil {
		return err
	}
	defer os.RemoveAll(t.folder)
	began := time.Now()
	t.Result = record.Result{Name: m.name, What: m.what, Order: order, Quick: o.quick, Taken: began.UTC(), Machine: record.ThisMachine()}
	if err := m.run(ctx, t); err != nil {
		return err
	}
	t.Took = time.Since(began).Seconds()
	return t.Save(o.out)
}
