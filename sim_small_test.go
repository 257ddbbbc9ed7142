package ota

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// enumerator tries every sequence of choices, one after the other, by counting up from the last.
type enumerator struct {
	path []int // what is chosen at each point
	of   []int // among how many
	at   int
}

func (e *enumerator) pick(n int) int {
	if e.at == len(e.path) {
		e.path, e.of = append(e.path, 0), append(e.of, n)
	}
	k := e.path[e.at]
	e.at++
	return k
}

// next goes on to the next sequence; false after the last.
func (e *enumerator) next() bool {
	e.path, e.of = e.path[:e.at], e.of[:e.at]
	e.at = 0
	for i := len(e.path) - 1; i >= 0; i-- {
		if e.path[i]+1 < e.of[i] {
			e.path[i]++
			e.path, e.of = e.path[:i+1], e.of[:i+1]
			return true
		}
	}
	return false
}

// small is a plan of 3 agents in 2 batches, the first with this many components, every outcome of every call, in every order, with a process that dies or loses
// an answer at any commit, and Pause and Resume at any moment.
func small(e *enumerator, faults int, verbs bool, policy Policy, tasks int) (failure string) {
	defer func() {
		if p := recover(); p != nil {
			buf := make([]byte, 8<<10)
			failure = fmt.Sprintf("path %v: %v\n%s", e.path, p, buf[:runtime.Stack(buf, false)])
		}
	}()
	spec := Spec{ID: "plan", Name: "small", FromVersion: "1", ToVersion: "2", Shape: Shape{Size: 2}, Policy: policy}
	spec.Agents = listed([]Agent{{ID: "a00", Tasks: componentTasks(tasks)}, {ID: "a01"}, {ID: "a02"}})
	w := worldOf(e, spec, faults)
	w.every, w.tasks = true, map[string]int{"a00": tasks}
	for _, id := range []string{"a00", "a01", "a02"} {
		w.behave[id] = 15
	}
	_, err := w.engine.Start(w.ctx, w.plan, Request{})
	w.must(err)
	said := !verbs
	for range 40 {
		p := w.procs[0]
		if row, err := w.store.testStore.Plan(w.ctx, w.plan); err != nil || statusOf(&row.Control, &row.Progress).Ended() {
			break
		}
		if !said && e.pick(3) == 2 {
			said = true
			_, err := w.engine.Pause(w.ctx, w.plan, Request{})
			w.must(err)
			w.turn(p, w.plan, input{})
			continue
		}
		if len(p.calls) == 0 || p.plans[w.plan] == nil {
			w.drive(p)
			if p.dead {
				continue
			}
			if len(p.calls) == 0 {
				break
			}
		}
		if id := p.calls[0].job.attempt().Agent; e.pick(2) == 1 {
			w.behave[id] = 2 // fails
		} else {
			w.behave[id] = 15
		}
		w.deliver(p)
	}
	w.settle()
	if _, err := w.engine.Resume(w.ctx, w.plan, RetryFailed(), Request{}); err == nil {
		for id := range w.behave {
			w.behave[id] = 15
		}
		w.settle()
	}
	w.referee.atRest()
	return ""
}

// TestSmallPlansExhaustively leaves nothing to chance: every order and every crash point of small plans.
func TestSmallPlansExhaustively(t *testing.T) {
	half, zero := 0.5, 0.0
	for _, c := range []struct {
		name   string
		faults int
		verbs  bool
		policy Policy
		tasks  int
	}{
		{"one crash, tolerates half", 1, false, Policy{Concurrency: 2, FailureThreshold: &half}, 0},
		{"one crash, tolerates nothing, one at a time", 1, false, Policy{Concurrency: 1, FailureThreshold: &zero}, 0},
		{"one crash, reserves", 1, false, Policy{Concurrency: 2, FailureThreshold: &zero, Reserve: true}, 0},
		{"one crash and a pause", 1, true, Policy{Concurrency: 2, FailureThreshold: &half}, 0},
		{"one crash, rolls back", 1, false, Policy{Concurrency: 2, FailureThreshold: &zero, OnBreach: ActionRollback}, 0},
		{"one crash, two tasks, rolls back", 1, false, Policy{Concurrency: 2, FailureThreshold: &zero, OnBreach: ActionRollback}, 2},
		{"one crash and a pause, two tasks, one at a time", 1, true, Policy{Concurrency: 1, FailureThreshold: &half}, 2},
		{"two crashes, observes", 2, false, Policy{Concurrency: 2, FailureThreshold: &half, Soak: Soak{Duration: time.Minute}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && (c.faults > 1 || c.verbs || c.policy.OnBreach == ActionRollback) {
				t.Skip("thousands of schedules, all in one goroutine: not with -short")
			}
			e, n := &enumerator{}, 0
			for ok := true; ok; ok = e.next() {
				if failure := small(e, c.faults, c.verbs, c.policy, c.tasks); failure != "" {
					t.Fatal(failure)
				}
				n++
			}
			t.Logf("%d schedules", n)
		})
	}
}
