package ota

import (
	"context"
	"fmt"
	"time"
)

// What tests in package ota_test need of the inside. They cannot be in package ota: they use packages that import it.

// StatusOf is the status of a plan by its two halves.
func StatusOf(row *PlanRow) Status {
	r := readPlan(row)
	return statusOf(&r.Control, &r.Progress)
}

// CountsOf counts the agents of a plan.
func CountsOf(row *PlanRow) Counts { return readPlan(row).Progress.Counts }

// Follows reports whether a plan has a rollback plan with this ID that has not completed.
func Follows(source *PlanRow, id string) bool {
	r := readPlan(source)
	return r.Control.Rollback != nil && r.Control.Rollback.ID == id && r.Control.Rollback.Done.IsZero()
}

// AttemptNumber is how often a task of an agent was started.
func AttemptNumber(row *Row, task int) int {
	var a agentRow
	if err := a.read(row); err != nil {
		panic(err)
	}
	return int(a.State.task(task).Number)
}

// RunningCall names the call that a running agent waits for; running is false if it waits for none.
func RunningCall(row *Row) (key string, running bool) {
	var a agentRow
	if err := a.read(row); err != nil {
		panic(err)
	}
	i := a.State.active()
	t := a.State.task(i)
	return fmt.Sprint(callKey{a.Ordinal, i, t.Number}), t.Status == TaskRunning
}

// CallsOnTheirWay adds every call that the engine has for a plan which it owns, from the commit of its start to the commit of its
// outcome. All goroutines of the engine must wait.
func (e *Engine) CallsOnTheirWay(stored *PlanRow, names map[string]bool) {
	row := readPlan(stored)
	d := e.driver(row.ID)
	if d == nil || e.instance != row.Progress.Instance {
		return
	}
	calls := map[callKey]bool{}
	lost := d.pool.calls(calls)
	d.pool.mu.Lock()
	d.pool.lost = d.pool.lost || lost
	d.pool.mu.Unlock()
	d.mu.Lock() // the owner takes it before it changes the session again
	defer d.mu.Unlock()
	raise, out := d.session.raise, d.session.callsInFlight
	d.session.callsInFlight = nil
	for key := range d.session.inFlight() {
		calls[key] = true
	}
	d.session.raise, d.session.callsInFlight = raise, out
	for key := range calls {
		names[fmt.Sprint(key)] = true
	}
}

// DescribeDriver says what the engine does with a plan.
func (e *Engine) DescribeDriver(stored *PlanRow) string {
	row := readPlan(stored)
	d := e.driver(row.ID)
	if d == nil {
		return fmt.Sprintf("instance %s does not drive %s of %s (instance %s)", e.instance, row.ID, row.Progress.Owner, row.Progress.Instance)
	}
	return fmt.Sprintf("drives %s: fail %d, advancing %v, out %d, asked %v, state %v", row.ID, d.storeErrors, d.advancing, d.pool.inFlight(), d.asked, d.session.st != nil)
}

// NewTestStore returns an empty testStore.
func NewTestStore() Store { return newTestStore() }

// CoreOf returns a function that drives a plan without goroutines: it answers every call at once.
func (e *Engine) CoreOf(id string) (play func(ctx context.Context) (Counts, error)) {
	x := newSession(e.store, id, "bench", 0)
	return func(ctx context.Context) (Counts, error) {
		now := time.Now()
		var in input
		for {
			_, again, err := x.turn(ctx, now, turnInput{input: in})
			if err != nil {
				return Counts{}, err
			}
			in.outcomes = in.outcomes[:0]
			for i := range x.starts {
				o := x.starts[i].outcome(now)
				o.reason = ReasonSucceeded
				in.outcomes = append(in.outcomes, o)
			}
			x.starts, x.reportedCalls = x.starts[:0], x.reportedCalls[:0]
			if len(in.outcomes) == 0 && !again {
				return x.st.p.Counts, nil
			}
		}
	}
}
