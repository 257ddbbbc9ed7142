// Package brokenexecutor has executors that are each broken in one way, for the test of
// executortest.
package brokenexecutor

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Machines is an executor without a fault, but for those that a Variant plants: its agents are
// entries of maps.
type Machines struct {
	mu       sync.Mutex
	versions map[string]string
	effects  map[string]int
	done     map[string]chan struct{} // by key: closed when the work is done

	faults
}

// faults are what may be broken. The zero value is nothing.
type faults struct {
	deaf       bool // ignores its context
	forgetful  bool // does not know its keys
	hasty      bool // notes a key only after the work
	refuses    bool // fails where the target is installed already
	stale      bool // reports the version that the agent had
	lazy       bool // succeeds without doing anything
	modest     bool // always says Unchanged
	proud      bool // says Unchanged of a reinstallation
	vague      bool // marks no error
	sneaky     bool // changes an agent that it says is unreachable
	leaky      bool // leaves a goroutine
	spills     bool // leaves a goroutine when its context ends
	upOnly     bool // takes no agent back
	strict     bool // takes no attempt but the first
	blames     bool // its error is Permanent when its context ends
	shared     bool // has one place for the agent that it works on
	panics     bool // panics at a repeat
	heals      bool // Health reinstalls
	gloomy     bool // Health says no
	eager      bool // Precheck installs
	content    bool // Precheck says that everything is at the target
	reverts    bool // Gate reinstalls the old version
	mute       bool // Gate returns no verdict
	meddles    bool // Inspect installs
	makesUp    bool // Inspect says Done of everything
	pessimist  bool // Inspect says Failed of everything
	cutIsDone  bool // says nil when its context ends
	everyAgent bool // upgrades another agent, too
	present    ota.Attempt
}

func machines(f faults) *Machines {
	return &Machines{versions: map[string]string{}, effects: map[string]int{}, done: map[string]chan struct{}{}, faults: f}
}

// Version is for executortest.Options.
func (m *Machines) Version(agent string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := m.versions[agent]; ok {
		return v
	}
	return "1.0.0"
}

// Effects is for executortest.Options.
func (m *Machines) Effects(agent string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.effects[agent]
}

// Latency is how long a call takes, and Long how long one to the agent "slow" does.
const (
	Latency = 3 * time.Millisecond
	Long    = time.Minute
)

// Execute implements ota.Executor.
func (m *Machines) Execute(ctx context.Context, a ota.Attempt) (ota.Result, error) {
	if m.leaky {
		go time.Sleep(Long)
	}
	if m.panics && a.Repeat {
		panic("a key that is known")
	}
	if m.strict && a.Number > 1 {
		return ota.Result{}, errors.New("only the first attempt is taken")
	}
	if err := m.failure(a); err != nil {
		return ota.Result{}, err
	}
	done, mine := m.begin(a)
	if !mine {
		select {
		case <-done:
			return ota.Result{Version: m.Version(a.Agent)}, nil
		case <-ctx.Done():
			return ota.Result{}, ctx.Err()
		}
	}
	if err := m.work(ctx, a); err != nil {
		m.forget(a)
		return m.cut(a, err)
	}
	return m.install(a, done)
}

func (m *Machines) begin(a ota.Attempt) (done chan struct{}, mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.present = a
	if done := m.done[a.Key()]; done != nil && !m.forgetful {
		return done, false
	}
	done = make(chan struct{})
	if !m.hasty {
		m.done[a.Key()] = done
	}
	return done, true
}

func (m *Machines) forget(a ota.Attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.done, a.Key())
}

func (m *Machines) work(ctx context.Context, a ota.Attempt) error {
	d := Latency
	if a.Agent == "slow" {
		d = Long
	}
	if m.deaf {
		time.Sleep(d)
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *Machines) cut(a ota.Attempt, err error) (ota.Result, error) {
	if m.spills {
		go time.Sleep(Long)
	}
	switch {
	case m.blames:
		return ota.Result{}, ota.Permanent(err)
	case m.cutIsDone:
		return ota.Result{Version: a.ToVersion}, nil
	}
	return ota.Result{}, err
}
