package ota

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	simSeeds = flag.Int("sim.seeds", 0, "schedules to simulate; 0: 20,000, or 2,000 with -short")
	simFirst = flag.Int("sim.first", 0, "the first seed")
)

type seeded struct{ *rand.Rand }

func (s seeded) pick(n int) int { return s.IntN(n) }

func simSchedule(seed uint64) *world {
	ch := seeded{rand.New(rand.NewPCG(seed, 1))}
	w := newWorld(ch, 12, ch.pick(6), ch.pick(8))
	w.verbs.lot = rand.New(rand.NewPCG(seed, 2))
	w.run(40 + ch.pick(80))
	return w
}

// playSeed reports a broken promise with the seed that shows it.
func playSeed(seed uint64) (failure string) {
	defer func() {
		if p := recover(); p != nil {
			buf := make([]byte, 16<<10)
			failure = fmt.Sprintf("seed %d: %v\n%s", seed, p, buf[:runtime.Stack(buf, false)])
		}
	}()
	simSchedule(seed)
	return ""
}

// TestSimulation plays seeded schedules: random plans, fleets, verbs at random moments, lost acknowledgements, and crashes at any
// commit, and has the referee look at every commit. Run more with -sim.seeds; one that failed with
// -sim.first N -sim.seeds 1.
func TestSimulation(t *testing.T) {
	first, n := *simFirst, *simSeeds
	if n == 0 {
		n = 20_000
		if testing.Short() {
			n = 2_000
		}
	}
	if s := os.Getenv("OTA_SIM_SEEDS"); s != "" { // for the mutants: "first:count"
		if _, err := fmt.Sscanf(s, "%d:%d", &first, &n); err != nil {
			t.Fatal(err)
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // every schedule is garbage when the next one begins
	var next atomic.Int64
	next.Store(int64(first))
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				seed := next.Add(1) - 1
				if seed >= int64(first+n) || t.Failed() {
					return
				}
				if failure := playSeed(uint64(seed)); failure != "" {
					t.Error(failure)
				}
			}
		})
	}
	wg.Wait()
}

// TestSimulationRepeats plays the same seeds twice: the logs are equal, byte for byte.
func TestSimulationRepeats(t *testing.T) {
	n := uint64(1000)
	if testing.Short() {
		n = 100
	}
	for seed := range n {
		a, b := simSchedule(seed).log(), simSchedule(seed).log()
		if !bytes.Equal(a, b) {
			t.Fatal("seed " + strconv.FormatUint(seed, 10) + " gives two different logs")
		}
	}
}

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
		if row, err := w.store.rows().Plan(w.ctx, w.plan); err != nil || statusOf(&row.Control, &row.Progress).Ended() {
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
		{"one crash, goes on without one", 1, false, Policy{Concurrency: 2, FailureThreshold: &half, Stragglers: Stragglers{Share: 0.5, After: time.Millisecond}}, 0},
		{"one crash and a pause, goes on without all", 1, true, Policy{Concurrency: 3, FailureThreshold: &half, Stragglers: Stragglers{Share: 1, After: time.Millisecond}}, 0},
		{"one crash, reserves", 1, false, Policy{Concurrency: 2, FailureThreshold: &zero, Reserve: true}, 0},
		{"one crash and a pause", 1, true, Policy{Concurrency: 2, FailureThreshold: &half}, 0},
		{"one crash, rolls back", 1, false, Policy{Concurrency: 2, FailureThreshold: &zero, OnBreach: ActionRollback}, 0},
		{"one crash, two tasks, rolls back", 1, false, Policy{Concurrency: 2, FailureThreshold: &zero, OnBreach: ActionRollback}, 2},
		{"one crash and a pause, two tasks, one at a time", 1, true, Policy{Concurrency: 1, FailureThreshold: &half}, 2},
		{"one crash, a stage for each batch", 1, false, Policy{Concurrency: 2, FailureThreshold: &zero, Stages: []Stage{
			{Batch: 0, Concurrency: 1, FailureThreshold: &half, Soak: ptr(time.Minute)}, {Batch: 1, Concurrency: 3, Hold: ptr(false)},
		}}, 0},
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

// randomTasks gives the agents of every fourth random plan up to three tasks. It draws from the choices made already, so that
// the schedules of the other plans stay what they are.
func randomTasks(s *Spec, behave map[string]int) map[string]int {
	sum := 0
	for _, b := range behave {
		sum += b
	}
	if sum%4 != 0 {
		return nil
	}
	tasks := map[string]int{}
	agents := s.Agents
	s.Agents = func(yield func(Agent, error) bool) {
		for a, err := range agents {
			tasks[a.ID] = (behave[a.ID] + len(tasks)) % 4
			a.Tasks = componentTasks(tasks[a.ID])
			if !yield(a, err) {
				return
			}
		}
	}
	return tasks
}

// componentTasks are tasks for that many components, each with versions of its own but the first, which has the plan's.
func componentTasks(n int) []TaskSpec {
	var tasks []TaskSpec
	for i := range n {
		t := TaskSpec{Component: Component{Name: fmt.Sprint("c", i), Instance: fmt.Sprint("i", i)}}
		if i > 0 {
			t.FromVersion, t.ToVersion = componentVersions(t.Component.Name)
		}
		tasks = append(tasks, t)
	}
	return tasks
}

// componentVersions are what componentTasks brings a component from and to.
func componentVersions(name string) (from, to string) {
	switch name {
	case "", "c0":
		return "1", "2"
	default:
		return "1." + name[1:], "2." + name[1:]
	}
}

func (a *agentSpec) component(i int) Component {
	if len(a.Tasks) == 0 {
		return Component{}
	}
	return a.Tasks[i].Component
}

// taskNamed is which task of an agent of the first plan is about a component.
func (w *world) taskNamed(agent, name string) int {
	for i := range w.tasks[agent] {
		if name == fmt.Sprint("c", i) {
			return i
		}
	}
	return 0
}

// behaviour is how a component of an agent behaves: one of them as its agent does, the others well.
func (w *world) behaviour(agent, name string) int {
	if n := w.tasks[agent]; n > 1 && !w.every && w.taskNamed(agent, name) != int(agent[len(agent)-1])%n {
		return 15
	}
	return w.behave[agent]
}
