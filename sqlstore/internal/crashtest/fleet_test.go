//go:build unix

package crashtest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// fleet is the agents: a server that outlives every engine. Each attempt has one effect, whoever calls it, how often,
// and in whatever order; and every call and effect is a line in its log.
type fleet struct {
	listener net.Listener
	latency  time.Duration // the most that an agent takes before its effect, and again after it

	mu      sync.Mutex
	log     *os.File
	effects map[string]bool
	wg      sync.WaitGroup
}

// call is what an engine asks of an agent, in one line.
type call struct {
	Plan     string
	Agent    string
	Number   int
	Epoch    uint64
	Rollback bool
	Repeat   bool
}

func (c call) key() string { return fmt.Sprintf("%s/%s/%d", c.Plan, c.Agent, c.Number) }

// line is one line of the fleet's log.
type line struct {
	Effect bool // otherwise a call
	call
}

// startFleet starts a fleet that ends with the test.
func startFleet(t testing.TB, latency time.Duration) *fleet {
	t.Helper()
	dir := shortDir(t)
	l, err := net.Listen("unix", filepath.Join(dir, "fleet"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{listener: l, latency: latency, log: log, effects: map[string]bool{}}
	f.wg.Go(f.accept)
	t.Cleanup(func() {
		l.Close()
		f.wg.Wait()
		log.Close()
	})
	return f
}

// shortDir is a temporary folder with a name that is short enough for sockets.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "crash") //nolint:usetesting // the name of t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (f *fleet) address() string { return f.listener.Addr().String() }

func (f *fleet) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.wg.Go(func() {
			defer conn.Close()
			var c call
			if err := json.NewDecoder(conn).Decode(&c); err != nil {
				return // whoever called was killed before it had said all
			}
			f.work(c)
			fmt.Fprintln(conn, f.answer(c))
		})
	}
}

// work does what the agent is asked for, also when whoever asked is gone by now.
func (f *fleet) work(c call) {
	f.write(line{call: c})
	time.Sleep(rand.N(f.latency + 1))
	f.mu.Lock()
	first := !f.effects[c.key()]
	f.effects[c.key()] = true
	f.mu.Unlock()
	if first {
		f.write(line{Effect: true, call: c})
	}
	time.Sleep(rand.N(f.latency + 1))
}

func (f *fleet) write(l line) {
	text, err := json.Marshal(l)
	if err == nil {
		_, err = f.log.Write(append(text, '\n'))
	}
	if err != nil {
		panic(err)
	}
}

// called is how many calls have reached the fleet.
func (f *fleet) called(t testing.TB) (n int) {
	t.Helper()
	for _, l := range f.lines(t) {
		if !l.Effect {
			n++
		}
	}
	return n
}

// lines reads the log.
func (f *fleet) lines(t testing.TB) (all []line) {
	t.Helper()
	file, err := os.Open(f.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for s := bufio.NewScanner(file); s.Scan(); {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// answer is how an agent answers an attempt: its name says it. In a rollback all succeed.
func (f *fleet) answer(c call) string {
	kind, _, _ := strings.Cut(c.Agent, "-")
	switch {
	case c.Rollback, kind == "ok":
		return "ok"
	case kind == "flaky" && c.Number <= 2, kind == "fail":
		return "error"
	case kind == "never":
		return "permanent"
	case kind == "busy" && c.Number == 1:
		return "throttled"
	}
	return "ok"
}

// client is the Executor: it carries attempts to the fleet.
type client struct{ address string }

func (x client) Execute(ctx context.Context, a ota.Attempt) (ota.Result, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", x.address)
	if err != nil {
		return ota.Result{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c := call{Plan: a.Plan, Agent: a.Agent, Number: a.Number, Epoch: a.Epoch, Rollback: a.IsRollback, Repeat: a.Repeat}
	if err := json.NewEncoder(conn).Encode(c); err != nil {
		return ota.Result{}, err
	}
	text, err := bufio.NewReader(conn).ReadString('\n')
	switch strings.TrimSpace(text) {
	case "ok":
		return ota.Result{Version: a.ToVersion}, nil
	case "error":
		return ota.Result{}, errors.New("it did not work")
	case "permanent":
		return ota.Result{}, ota.Permanent(errors.New("it will never work"))
	case "throttled":
		return ota.Result{}, ota.Throttled(errors.New("not now"), 4*time.Millisecond)
	}
	return ota.Result{}, errors.Join(context.Cause(ctx), err)
}
