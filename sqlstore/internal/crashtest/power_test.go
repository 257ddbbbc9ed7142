//go:build linux

package crashtest

import (
	"bufio"
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/sqlstore"
)

// powerEnv makes a child process a writer, and names its file; powerMode says how it writes.
const (
	powerEnv  = "OTA_CRASHTEST_POWER"
	powerMode = "OTA_CRASHTEST_POWER_MODE"
)

// The power is cut at random moments while an engine drives a plan: what was acknowledged before is there afterwards.
// The control writes to the same tables with synchronous=NORMAL, which loses commits: so the cuts are real.
func TestPowerCut(t *testing.T) {
	n := cmp.Or(*powerOff, amount(50, 15, 6))
	t.Run("full", func(t *testing.T) {
		if lost := cutPower(t, "full", n); lost > 0 {
			t.Errorf("%d of %d cuts lost commits that were acknowledged", lost, n)
		}
	})
	t.Run("control", func(t *testing.T) {
		if lost := cutPower(t, "normal", n); lost == 0 {
			t.Errorf("%d cuts lost nothing: they are none", n)
		}
	})
}

// cutPower cuts the power of a writer, and returns how many cuts lost commits.
func cutPower(t *testing.T, mode string, n int) (lost int) {
	d, err := newDisk(t)
	if err != nil {
		t.Skipf("no disk to cut the power of: %v", err)
	}
	acked := startWriter(t, filepath.Join(d.root, "plans.db"), mode)
	random := rand.New(rand.NewPCG(*seedFlag, 3))
	worst := uint64(0)
	began := time.Now()
	for range n {
		time.Sleep(time.Duration(20+random.IntN(150)) * time.Millisecond)
		before := acked.Load()
		image, err := d.cut()
		if err != nil {
			t.Fatal(err)
		}
		err = d.powerOn(image, func(root string) {
			have := afterCut(t, filepath.Join(root, "plans.db"))
			if have < before {
				lost, worst = lost+1, max(worst, before-have)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d cuts, %.1f a second, %d commits; %d cuts lost acknowledged ones, at most %d", n,
		float64(n)/time.Since(began).Seconds(), acked.Load(), lost, worst)
	return lost
}

// afterCut opens the database as a service does that starts again, and returns the plan's revision.
func afterCut(t *testing.T, file string) uint64 {
	t.Helper()
	s, err := sqlstore.Open(t.Context(), file, sqlstore.Options{})
	if err != nil {
		t.Error(err)
		return 0
	}
	defer s.Close()
	e, err := ota.New(s, nil, ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := read(t, e, "p")
	k := newChecker(h)
	if h.plan.Annotations["control"] == "" {
		k.log()
		k.counters()
	}
	for _, p := range k.problems {
		t.Error(p)
	}
	integrity(t, file)
	return h.plan.Revision
}

// startWriter starts the process that writes, and returns the newest revision that it was told to be stored.
func startWriter(t *testing.T, file, mode string) *atomic.Uint64 {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestWriter$")
	cmd.Env = append(os.Environ(), powerEnv+"="+file, powerMode+"="+mode)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked, read := new(atomic.Uint64), make(chan struct{})
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Process.Kill()
		<-read
		_ = cmd.Wait()
	})
	first := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			var n uint64
			if _, err := fmt.Sscanf(s.Text(), "ack %d", &n); err == nil && acked.Swap(n) == 0 {
				close(first)
			}
		}
	}()
	select {
	case <-first:
	case <-read:
		t.Fatal("the writer ended")
	case <-time.After(time.Minute):
		t.Fatal("the writer writes nothing")
	}
	return acked
}

// TestWriter is the process that writes; in a run of the tests themselves it does nothing.
func TestWriter(t *testing.T) {
	file := os.Getenv(powerEnv)
	if file == "" {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	ctx := context.Background()
	s, err := sqlstore.Open(ctx, file, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := ota.New(acking{s}, ota.ExecutorFunc(succeed), ota.Options{})
	if err != nil {
		t.Fatal(err)
	}
	mode := os.Getenv(powerMode)
	spec := ota.Spec{ID: "p", Name: "p", ToVersion: "2", Agents: manyAgents(400), Shape: ota.Shape{Size: 40}}
	if mode == "normal" {
		spec.Annotations = map[string]string{"control": "yes"}
	}
	if _, err := e.Create(ctx, spec); err != nil {
		t.Fatal(err)
	}
	if mode == "normal" {
		writeNormally(t, file)
	}
	if _, err := e.Start(ctx, "p", operator); err != nil {
		t.Fatal(err)
	}
	go func() {
		for ctx.Err() == nil { // so that there is always something to commit
			_, _ = e.Annotate(ctx, "p", map[string]string{"at": time.Now().String()}, nil, operator)
		}
	}()
	_ = e.Run(ctx)
}

// acking says what was committed.
type acking struct{ *sqlstore.Store }

func (s acking) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	n, err := s.Store.Commit(ctx, c)
	if err == nil {
		os.Stdout.WriteString(fmt.Sprintf("ack %d\n", n))
	}
	return n, err
}

// succeed is an Executor whose agents take a moment.
func succeed(context.Context, ota.Attempt) (ota.Result, error) {
	time.Sleep(20 * time.Millisecond)
	return ota.Result{}, nil
}

// writeNormally commits to the tables of a store as it never does.
func writeNormally(t *testing.T, file string) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for n := 2; ; n++ {
		tx, err := db.Begin()
		if err == nil {
			_, err = tx.Exec(`INSERT INTO ota_log (plan, revision, at, notable, data) SELECT plan, ?, at, notable, data FROM ota_log WHERE revision = 1`, n)
		}
		if err == nil {
			_, err = tx.Exec(`UPDATE ota_plans SET revision = ?`, n)
		}
		if err == nil {
			err = tx.Commit()
		}
		if err != nil && !strings.Contains(err.Error(), "locked") {
			t.Fatal(err)
		}
		os.Stdout.WriteString(fmt.Sprintf("ack %d\n", n))
	}
}
