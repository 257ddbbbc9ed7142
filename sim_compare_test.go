package ota

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

// sky is the network of a fleet that is compared with: it is down at times. It draws from its own numbers.
type sky struct {
	draw *rand.Rand // nil: each answer is a choice
	down bool
	left int // of each answer: how many more are chosen
}

// comparedSchedule is a random plan with a group to compare with, in a network that is down at times.
func comparedSchedule(seed uint64) *world {
	ch := seeded{rand.New(rand.NewPCG(seed, 3))}
	behave := map[string]int{}
	spec := randomSpec(ch, 20, behave)
	spec.Policy.Soak.Compare = 4 + ch.pick(8)
	tasks := randomTasks(&spec, behave)
	w := worldOf(ch, spec, ch.pick(4))
	w.tasks, w.behave, w.verbs.left, w.gated, w.checked = tasks, behave, ch.pick(6), ch.pick(4) == 0, ch.pick(3) == 0
	w.verbs.lot = rand.New(rand.NewPCG(seed, 4))
	w.sky = &sky{draw: rand.New(rand.NewPCG(seed, 5))}
	w.run(60 + ch.pick(100))
	return w
}

// TestSimulationCompares plays schedules with outages, and has the referee look at every commit.
func TestSimulationCompares(t *testing.T) {
	first, n := *simFirst, (*simSeeds+9)/10 // each is as long as ten others
	if n == 0 {
		n = 3_000
		if testing.Short() {
			n = 500
		}
	}
	if s := os.Getenv("OTA_SIM_SEEDS"); s != "" {
		if _, err := fmt.Sscanf(s, "%d:%d", &first, &n); err != nil {
			t.Fatal(err)
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	seen := map[Reason]int{}
	for seed := range n {
		failure := func() (failure string) {
			defer func() {
				if p := recover(); p != nil {
					failure = fmt.Sprintf("seed %d: %v", first+seed, p)
				}
			}()
			for why := range comparedSchedule(uint64(first + seed)).referee.plans["plan"].breached {
				seen[why]++
			}
			return ""
		}()
		if failure != "" {
			t.Fatal(failure)
		}
	}
	if n > 400 && (seen[ReasonAmbient] < n/50 || seen[ReasonThreshold] < n/50) {
		t.Errorf("the schedules show too little: %v", seen)
	}
}

// change lets the network go down or come back, now and then.
func (s *sky) change() {
	if s != nil && s.draw != nil && s.draw.IntN(12) == 0 {
		s.down = !s.down
	}
}

// health is what the network makes of an agent's answer.
func (w *world) health(a ask, healthy bool, err error) (bool, error) {
	switch s := w.sky; {
	case s == nil:
	case s.draw == nil && s.left > 0 && a.compared != nil && w.row(w.plan).Progress.LastBreach+w.row(w.plan).Progress.Undecided > 0:
		s.left--
		healthy = w.choose.pick(2) == 0
	case s.down && !w.quiet:
		err = errors.New("the network is down")
	}
	return healthy, err
}

// compared remembers the answer of an agent that the plan has not begun.
func (r *referee) compared(id, agent string, healthy bool) {
	p := r.plans[id]
	if p.healthy == nil {
		p.healthy, p.sick = map[string]bool{}, map[string]bool{}
	}
	if healthy {
		p.healthy[agent] = true
	} else {
		p.sick[agent] = true
	}
}

// compares checks who is in the group, and that a breach has its action, or is ambient, only by their answers.
func (r *referee) compares(p *refPlan, before, after *planRow, rows []agentRow, rec *Record) {
	is := &after.Progress
	group := map[string]bool{}
	for _, o := range is.Group {
		a := &rows[o]
		group[a.Agent.ID] = true
		if a.State.Status != TaskPending || a.State.Task.Number > 0 || a.State.Flags&agentChanged != 0 {
			r.fail("agent %s of %s is compared with, and is %s", a.Agent.ID, p.id, a.State.Status)
		}
		if !slices.Contains(before.Progress.Group, o) && !p.healthy[a.Agent.ID] {
			r.fail("agent %s of %s is compared with, and was never healthy", a.Agent.ID, p.id)
		}
	}
	if n := len(is.Group); n > 0 && (n > after.Control.Policy.Soak.compare() && !p.loose || after.Source != "" || !slices.IsSorted(is.Group)) {
		r.fail("plan %s compares with %v", p.id, is.Group)
	}
	for _, e := range rec.Events {
		if (e.Kind == EventTaskStarted || e.Kind == EventTaskRepeated) && (is.Undecided != 0 || before.Progress.Undecided > before.Control.AnsweredBreach) {
			r.fail("agent %s of %s was started while the group was asked", e.Agent, p.id)
		}
	}
	sick, healthy := 0, 0
	struck := 0 // members that were in the group when the breach began to wait
	for agent := range group {
		sick += count(p.sick[agent])
		struck += count(p.struck[agent])
		healthy += count(p.struck[agent] && p.healthy[agent])
	}
	for _, b := range is.Breaches {
		if p.breached == nil {
			p.breached = map[Reason]bool{}
		}
		p.breached[b.Reason] = true
		switch {
		case b.Reason != ReasonAmbient || b.Number <= before.Progress.LastBreach:
		case b.Action != ActionPause:
			r.fail("the breach ambient of %s has the action %s", p.id, b.Action)
		case sick < max(2, (struck+3)/4): // of those that were asked; some may have joined since
			r.fail("plan %s is ambient, and %d of %d are sick", p.id, sick, len(group))
		}
	}
	if k := struck; p.waits && undoing(&after.Control, is) && k >= minGroup && healthy <= k-max(2, (k+3)/4) {
		r.fail("plan %s is rolled back, and only %d of %d have answered healthy since the breach", p.id, healthy, k)
	}
	if p.waits = is.Undecided != 0; p.waits && before.Progress.Undecided == 0 {
		p.struck = group
		clear(p.sick)
		if len(before.Progress.Group) > 0 {
			clear(p.healthy)
		}
	}
}

func count(such bool) int {
	if such {
		return 1
	}
	return 0
}

// quietAtRest checks that nothing waits for the group once all have been healthy for long.
func (r *referee) quietAtRest(row *planRow) {
	if p := &row.Progress; canBreach(statusOf(&row.Control, p)) && (waitsForGroup(&row.Control, p) || p.Ambient) {
		r.fail("plan %s still waits for its group at rest: undecided %d, ambient %t", row.ID, p.Undecided, p.Ambient)
	}
}

// TestSmallComparedPlansExhaustively tries every answer of a group of four after the breach, with an engine that dies, or loses an
// answer, at any commit.
func TestSmallComparedPlansExhaustively(t *testing.T) {
	zero := 0.0
	for _, action := range []Action{ActionRollback, ActionPause, ActionContinue} {
		e, n, ambient, plain := &enumerator{}, 0, 0, 0
		for ok := true; ok; ok = e.next() {
			n++
			func() {
				defer func() {
					if p := recover(); p != nil {
						t.Fatalf("%s, path %v: %v", action, e.path, p)
					}
				}()
				if smallCompared(e, Policy{FailureThreshold: &zero, OnBreach: action, Soak: Soak{Duration: time.Minute, Compare: 4}}) {
					ambient++
				} else {
					plain++
				}
			}()
		}
		if ambient == 0 || plain == 0 {
			t.Errorf("%s: %d ambient, %d plain", action, ambient, plain)
		}
		t.Logf("%s: %d schedules, %d ambient", action, n, ambient)
	}
}

// smallCompared is a canary that turns sick, and four agents that the plan has not begun. It reports whether the breach was ambient.
func smallCompared(e *enumerator, policy Policy) (ambient bool) {
	spec := Spec{ID: "plan", Name: "small", FromVersion: "1", ToVersion: "2", Shape: Shape{Size: 1}, Policy: policy}
	spec.Agents = AgentIDs("a00", "a01", "a02", "a03", "a04")
	w := worldOf(e, spec, 0)
	w.every, w.probes, w.sky = true, true, &sky{left: 4}
	for i := range 5 {
		w.behave[fmt.Sprintf("a%02d", i)] = 15
	}
	w.behave["a00"] = 10
	_, err := w.engine.Start(w.ctx, w.plan, Request{})
	w.must(err)
	for i, given := 0, false; i < 40; i++ {
		p := w.procs[0]
		if at := &w.row(w.plan).Progress; !given && at.Undecided > 0 && policy.OnBreach != ActionContinue {
			w.faults, given = 1, true // from the commit after the breach on
		}
		switch {
		case len(p.calls) > 0:
			w.deliver(p)
		case len(p.asks) > 0:
			w.deliverAsk(p)
		default:
			w.clock.t = w.clock.t.Add(2 * time.Second)
			w.drive(p)
		}
	}
	w.settle()
	w.referee.atRest()
	ambient = w.referee.plans["plan"].breached[ReasonAmbient]
	if _, err := w.engine.Resume(w.ctx, w.plan, RetryFailed(), Request{}); err == nil {
		w.settle()
		w.referee.atRest()
	}
	return ambient
}
