package ota_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

const (
	shellLease = 5 * time.Second
	shellWild  = 90 * time.Second // how long things go wrong
	shellEnd   = 6 * time.Hour    // by when every plan has ended, once nothing goes wrong any more
)

// shellWorld is one schedule of the shell: whole engines with their goroutines, over one Store that answers late, wrongly or never.
// The court judges every commit; the world judges every call, and, once nothing goes wrong any more, that each row in flight
// has a call, and that every plan ends.
type shellWorld struct {
	*testing.T
	seed    uint64
	r       *rand.Rand // of the test's own goroutine
	court   *harness.CheckedStore
	ctx     context.Context
	wild    int // of a hundred calls of the Store so many go wrong
	outages []outage
	calm    chan struct{} // closed: nothing goes wrong any more
	fleet   *shellFleet
	procs   []*shellProc
	past    []*shellProc // that have ended
	made    int          // processes so far
	plans   []string
	pending sync.WaitGroup

	mu    sync.Mutex
	now   time.Time
	calls map[string]int // of the Store at this moment
}

// busy panics when a process calls the Store again and again and no time goes by.
func (w *shellWorld) busy(call string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); !now.Equal(w.now) {
		w.now, w.calls = now, map[string]int{}
	}
	if w.calls[call]++; w.calls[call] > 10_000 {
		w.tell()
		panic(fmt.Sprintf("seed %d: %s spins: %v", w.seed, call, w.calls))
	}
}

// shellProc is one process.
type shellProc struct {
	name  string
	store *shaky
	e     *ota.Engine
	stop  context.CancelFunc
	done  chan error
}

// pass lets time go by, unless ctx ends before, or everything is calm.
func (w *shellWorld) pass(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.calm:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (w *shellWorld) isCalm() bool {
	select {
	case <-w.calm:
		return true
	default:
		return false
	}
}

// wrapped is an Executor of somebody who wraps Executors.
type wrapped struct{ ota.Executor }

func (x wrapped) Unwrap() ota.Executor { return x.Executor }

// start begins a process. It has its own view of the Store.
func (w *shellWorld) start(name string) {
	w.made++
	s := &shaky{CheckedStore: w.court, w: w, name: fmt.Sprintf("%s.%d", name, w.made), n: map[string]uint64{}}
	s.answered, s.observed, s.verbs = map[string][]uint64{}, map[string][]uint64{}, map[string]int{}
	exec := w.fleet.executor(s.name)
	if w.seed%3 == 0 {
		exec = wrapped{exec}
	}
	drain := []time.Duration{-1, time.Second, 20 * time.Second}[w.r.IntN(3)]
	var store ota.Store = s
	if w.bare() {
		store = harness.Bare{Store: s}
	}
	e, err := ota.New(store, exec, ota.Options{Name: name, Lease: shellLease, DrainTimeout: drain, AbandonAfter: 2 * time.Second, Observer: s})
	require.NoError(w, err)
	ctx, cancel := context.WithCancel(w.ctx)
	p := &shellProc{name: name, store: s, e: e, stop: cancel, done: make(chan error, 1)}
	w.procs = append(w.procs, p)
	go func() { p.done <- e.Run(ctx) }()
}

// bare reports whether the Store hides its companions. Without leases the last engine to begin owns every plan.
func (w *shellWorld) bare() bool { return w.seed%16 == 5 }

// end ends one process: it dies, or shuts down in order. Another one begins, under its name or a new one, at once or later.
func (w *shellWorld) end(i int, dies bool) {
	p := w.procs[i]
	w.procs = append(w.procs[:i], w.procs[i+1:]...)
	w.past = append(w.past, p)
	p.store.dead.Store(dies)
	p.stop()
	name := p.name
	if w.r.IntN(3) == 0 {
		name = fmt.Sprintf("%s-%d", p.name, w.made)
	}
	if w.bare() || !dies && name == p.name { // two that run at the same time must not share a name, nor a Store without leases
		w.ended(<-p.done)
	} else {
		w.pending.Go(func() { w.ended(<-p.done) })
	}
	if w.r.IntN(2) == 0 {
		w.after(time.Duration(w.r.Int64N(int64(2 * shellLease))))
	}
	w.start(name)
}

func (w *shellWorld) ended(err error) {
	if err != nil {
		require.ErrorIs(w, err, ota.ErrAbandoned)
	}
}

func (w *shellWorld) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// newShellWorld makes plans and processes.
func newShellWorld(t *testing.T, seed uint64) *shellWorld {
	w := &shellWorld{T: t, seed: seed, r: rand.New(rand.NewPCG(seed, 3)), court: harness.NewCheckedStore(t), ctx: t.Context(), calm: make(chan struct{})}
	w.wild = []int{0, 2, 10, 30, 60}[w.r.IntN(5)]
	w.fleet = newShellFleet(w)
	for i := range 1 + w.r.IntN(2) {
		w.create(fmt.Sprintf("plan-%d", i))
	}
	engines := 1 + w.r.IntN(2)
	if w.bare() {
		engines = 1
	}
	now := time.Now()
	for range w.r.IntN(3) {
		from := now.Add(time.Duration(w.r.Int64N(int64(shellWild))))
		o := outage{from: from, to: from.Add(time.Duration(w.r.Int64N(int64(8 * shellLease)))), calls: map[string]bool{}}
		for _, c := range storeCalls {
			o.calls[c] = w.r.IntN(3) == 0
		}
		if w.r.IntN(2) == 0 {
			o.engine = fmt.Sprintf("e%d.%d", w.r.IntN(engines), 1+w.r.IntN(engines))
		}
		if w.r.IntN(4) == 0 {
			o.to = now.Add(24 * time.Hour) // it stays until everything is calm
		}
		w.outages = append(w.outages, o)
	}
	for i := range engines {
		w.start(fmt.Sprintf("e%d", i))
	}
	return w
}

// create makes a plan and starts it, by way of an engine whose Store is well.
func (w *shellWorld) create(id string) {
	threshold := []float64{0, 0.3, 1}[w.r.IntN(3)]
	p := ota.Policy{
		Concurrency: 1 + w.r.IntN(4), FailureThreshold: &threshold, OnBreach: []ota.Action{ota.ActionPause, ota.ActionRollback}[w.r.IntN(2)],
		Retry: ota.RetryPolicy{Max: w.r.IntN(3), Backoff: time.Second}, AttemptTimeout: 20 * time.Second, UnreachableTimeout: time.Minute,
		Soak: ota.Soak{Duration: time.Duration(w.r.IntN(2)) * 5 * time.Second, Interval: time.Second},
		Gate: ota.Gate{Interval: 2 * time.Second, MaxErrors: w.r.IntN(5)},
	}
	agents := make([]string, 1+w.r.IntN(8))
	for i := range agents {
		agents[i] = fmt.Sprintf("%s-a%d", id, i)
	}
	e := w.operator()
	_, err := e.Create(w.ctx, ota.Spec{
		ID: id, Name: id, FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs(agents...), Shape: ota.Shape{Size: 1 + w.r.IntN(4)}, Policy: p,
	})
	require.NoError(w, err)
	_, err = e.Start(w.ctx, id, ota.Request{})
	require.NoError(w, err)
	w.plans = append(w.plans, id)
}

// operator is an engine that drives nothing, in a process of its own.
func (w *shellWorld) operator() *ota.Engine {
	var store ota.Store = w.court
	if w.bare() {
		store = harness.Bare{Store: store}
	}
	e, err := ota.New(store, nil, ota.Options{Name: "operator"})
	require.NoError(w, err)
	return e
}
