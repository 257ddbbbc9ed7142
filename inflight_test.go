package ota

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A call that was committed is in one of these places, until its outcome is committed.
var places = []struct {
	name string
	// put takes the call of a committed start to its place. Calls of the Executor go on until release is closed.
	put  func(s *flight)
	lost bool // it comes to nothing: the agent has to be called again
}{
	{"to be handed over", func(*flight) {}, false},
	{"queued", func(s *flight) { s.pool.maxWorkers = 0; s.push(0) }, false},
	{"out", func(s *flight) { s.push(1) }, false},
	{"outcome in the pool", func(s *flight) { s.push(1); s.returns() }, false},
	{"outcome held", func(s *flight) { s.push(1); s.returns(); s.fetch() }, false},
	{"abandoned, outcome in the pool", func(s *flight) { s.push(1); s.abandon(ReasonAbandoned) }, false},
	{"abandoned, outcome held", func(s *flight) { s.push(1); s.abandon(ReasonAbandoned); s.fetch() }, false},
	{"abandoned without an outcome", func(s *flight) { s.push(1); s.abandon(ReasonNone) }, true},
	{"not made, for the lease was out", func(s *flight) { s.leaseOut = true; s.push(1) }, true},
	{"not made, for the engine shut down", func(s *flight) { s.end(errShutdown); s.push(1) }, true},
	{"not made, for the plan was interrupted", func(s *flight) { s.end(errInterrupted); s.push(1) }, false},
	{"answered nothing, for the engine shut down", func(s *flight) { s.push(1); s.end(errShutdown); s.returns() }, true},
	{"answered nothing, for the plan was taken", func(s *flight) { s.push(1); s.end(errFencedOff); s.returns() }, true},
	{"interrupted", func(s *flight) { s.push(1); s.end(errInterrupted); s.returns() }, false},
}

// What makes a session load its plan again.
var reloads = []struct {
	name string
	do   func(s *flight) error
}{
	{"a reason of its own", func(s *flight) error { s.x.drop(); return nil }},
	{"a verb of another engine", func(s *flight) error {
		_, err := s.e.Annotate(s.ctx, s.id, map[string]string{"a": "b"}, nil, Request{})
		return err
	}},
	{"a commit whose answer was lost", func(s *flight) error { s.store.ack.Store(1); return nil }},
	{"a read that failed", func(s *flight) error { s.x.drop(); s.reads = 1; return nil }},
	{"twice", func(s *flight) error { s.x.drop(); s.reads = 2; return nil }},
}

// flight is a session and a pool, without a driver: the test says when what happens.
type flight struct {
	*scene
	id       string
	x        *session
	pool     *pool
	endCalls context.CancelCauseFunc
	leaseOut bool
	release  chan struct{}
	once     sync.Once
	out      int
	answer   error
	reads    int // how many of the next reads fail
}

// failing lets reads of a plan fail.
type failing struct {
	Store
	s *flight
}

func (f failing) Plan(ctx context.Context, id string) (PlanRow, error) {
	if f.s.reads > 0 {
		f.s.reads--
		return PlanRow{}, errors.New("no answer")
	}
	return f.Store.Plan(ctx, id)
}

func (s *flight) push(workers int) {
	s.x.starts = s.pool.push(s.x.starts, workers, false)
	synctest.Wait()
}

func (s *flight) returns() {
	s.once.Do(func() { close(s.release) })
	synctest.Wait()
}

func (s *flight) end(cause error) {
	s.endCalls(cause)
	s.answer = cause
}

func (s *flight) abandon(why Reason) {
	s.endCalls(errInterrupted)
	s.pool.abandon(time.Now().Add(time.Hour), time.Now(), time.Second, why)
	s.out = 0 // nobody waits for it
}

func (s *flight) fetch() {
	done, _ := s.pool.fetch(nil)
	s.x.addInput(input{outcomes: done})
}

// turn lets the session go as far as it can, as a driver does after an error: again.
func (s *flight) turn() {
	for range 4 {
		if _, again, err := s.x.turn(s.ctx, time.Now(), turnInput{}); err == nil && !again {
			return
		}
	}
	s.Fatal("the session does not go on")
}

// A row that is running has a call that is out, or is on its way to one or from one; else it is repeated. So wherever the call is
// when the plan is loaded again: the plan ends, no agent is called twice at once, and only what was lost is called twice.
func TestARunningRowHasACall(t *testing.T) {
	for _, place := range places {
		for _, reload := range reloads {
			t.Run(place.name+"/"+reload.name, func(t *testing.T) {
				inScene(t, func(sc *scene) { playInFlight(sc, place.put, place.lost, reload.do) })
			})
		}
	}
}

func playInFlight(sc *scene, put func(*flight), lost bool, reload func(*flight) error) {
	s := &flight{scene: sc, release: make(chan struct{})}
	s.Cleanup(s.returns)
	made := 0
	exec := ExecutorFunc(func(context.Context, Attempt) (Result, error) {
		made++
		s.out++
		require.Equal(s, 1, s.out, "two calls for one agent at once")
		<-s.release
		s.out = 0
		return Result{}, s.answer
	})
	s.id = s.start(Policy{FailureThreshold: ptr(1.0)}, Shape{}, "a")
	s.x = newSession(rowStore{store: failing{s.store, s}}, s.id, "one", 0)
	calls, endCalls := context.WithCancelCause(s.ctx)
	s.endCalls = endCalls
	s.pool = newPool(exec, &s.e.clock, calls, func() {}, func(time.Time) bool { return !s.leaseOut })
	s.pool.onAbandoned, s.pool.onReturned = func(job) {}, func(outcome) {}
	s.x.callsInFlight = s.pool.calls
	s.turn()
	require.Len(s, s.x.starts, 1)
	epoch := s.x.epoch
	put(s)
	before := made
	require.NoError(s, reload(s))
	s.round()
	switch {
	case lost:
		require.Len(s, s.x.starts, 1, "it is repeated")
		require.True(s, s.x.starts[0].repeat)
		require.Greater(s, s.x.epoch, epoch, "under an epoch of its own")
	case s.agent(s.id, "a").Status == TaskRunning:
		require.True(s, s.x.inFlight()[callKey{0, 0, 1}], "a row is running, and no call is out or on its way")
		require.LessOrEqual(s, len(s.x.starts), 1)
	}
	if s.answer != nil || s.leaseOut {
		s.answer, s.leaseOut = nil, false
		s.pool.renew(s.ctx)
	}
	s.push(1)
	if lost && made > before+1 || !lost && made > 1 {
		s.Fatalf("called %d times", made)
	}
	s.returns()
	s.round()
	require.Equal(s, StatusCompleted, s.plan(s.id).Status, "%v", s.agent(s.id, "a"))
	require.Zero(s, s.pool.close())
}

// round is what a driver does in a turn.
func (s *flight) round() {
	done, lost := s.pool.fetch(nil)
	s.x.addInput(input{outcomes: done})
	if lost {
		s.x.drop()
	}
	s.turn()
}
