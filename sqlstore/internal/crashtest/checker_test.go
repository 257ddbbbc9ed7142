//go:build unix

package crashtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

// checker judges one plan by what was recorded of it. It collects all that is wrong.
type checker struct {
	h        history
	problems []string

	epoch  uint64
	agents map[string]*track
	done   map[int]bool // batches that are completed
	held   bool         // paused, canceled or rolling back, by the records
	starts map[string][]uint64
}

// track is an agent as the records tell it.
type track struct {
	number  int
	running bool
	over    bool // it has ended, and was not put back
}

// check returns what is wrong with a plan, given the lines of the fleet that are about it.
func check(h history, lines []line) []string {
	k := newChecker(h)
	k.log()
	k.counters()
	if n := h.plan.Counts; n.Running+n.Waiting > 0 {
		k.wrong("it has ended with %d running and %d waiting", n.Running, n.Waiting)
	}
	k.fleet(lines)
	return k.problems
}

func newChecker(h history) *checker {
	k := &checker{h: h, agents: map[string]*track{}, done: map[int]bool{}, starts: map[string][]uint64{}}
	for _, a := range h.agents {
		k.agents[a.ID] = &track{}
	}
	return k
}

func (k *checker) wrong(format string, args ...any) {
	if len(k.problems) < 20 {
		k.problems = append(k.problems, k.h.plan.ID+": "+fmt.Sprintf(format, args...))
	}
}

// log reads the records in order: they have no gap, and nothing starts that may not.
func (k *checker) log() {
	for i, r := range k.h.records {
		if r.Revision != uint64(i+1) {
			k.wrong("record %d has number %d", i+1, r.Revision)
		}
		if len(r.Events) == 0 {
			k.wrong("record %d has no event", r.Revision)
		}
		for _, e := range r.Events {
			k.event(r, e)
		}
	}
	if n := len(k.h.records); uint64(n) != k.h.plan.Revision {
		k.wrong("it has %d records at revision %d", n, k.h.plan.Revision)
	}
}

func (k *checker) event(r ota.Record, e ota.Event) {
	switch e.Kind {
	case ota.EventOwned:
		if uint64(e.Number) != k.epoch+1 {
			k.wrong("record %d: epoch %d follows epoch %d", r.Revision, e.Number, k.epoch)
		}
		k.epoch = uint64(e.Number)
	case ota.EventPaused, ota.EventCanceled, ota.EventFrozen, ota.EventRollback:
		k.held = true
	case ota.EventResumed:
		k.held = false
	case ota.EventBatchCompleted:
		k.done[e.Batch] = true
	case ota.EventBatchReopened:
		k.done[e.Batch] = false
	}
	if e.Agent == "" {
		return
	}
	a := k.agents[e.Agent]
	if a == nil {
		k.wrong("record %d: %s of agent %s, which it does not have", r.Revision, e.Kind, e.Agent)
		return
	}
	k.task(r, e, a)
}

func (k *checker) task(r ota.Record, e ota.Event, a *track) {
	switch e.Kind {
	case ota.EventTaskStarted, ota.EventTaskRepeated:
		k.start(r, e, a)
	case ota.EventTaskSucceeded, ota.EventTaskFailed, ota.EventTaskUnknown:
		if a.over {
			k.wrong("record %d: %s of %s, which had ended", r.Revision, e.Kind, e.Agent)
		}
		a.running, a.over = false, true
	case ota.EventTaskSkipped, ota.EventTaskCanceled:
		a.over = true
	case ota.EventTaskWaiting:
		if !a.running {
			k.wrong("record %d: %s waits after no attempt", r.Revision, e.Agent)
		}
		a.running = e.Reason == ota.ReasonRepeat // to be repeated: it is still the same attempt
	case ota.EventTaskRetried:
		a.over = false
	}
}

func (k *checker) start(r ota.Record, e ota.Event, a *track) {
	key := fmt.Sprintf("%s/%s/%d", k.h.plan.ID, e.Agent, e.Number)
	epochs := k.starts[key]
	switch {
	case k.held:
		k.wrong("record %d: %s of %s, but the plan is held", r.Revision, e.Kind, e.Agent)
	case a.over:
		k.wrong("record %d: %s of %s, which had ended", r.Revision, e.Kind, e.Agent)
	case e.Kind == ota.EventTaskStarted && (a.running || e.Number != a.number+1):
		k.wrong("record %d: attempt %d of %s follows attempt %d, running %v", r.Revision, e.Number, e.Agent, a.number, a.running)
	case e.Kind == ota.EventTaskRepeated && (!a.running || e.Number != a.number):
		k.wrong("record %d: attempt %d of %s is repeated, the last is %d, running %v", r.Revision, e.Number, e.Agent, a.number, a.running)
	case len(epochs) > 0 && epochs[len(epochs)-1] >= k.epoch:
		k.wrong("record %d: %s was started under epoch %d, and under %d before", r.Revision, key, k.epoch, epochs[len(epochs)-1])
	}
	for b := range e.Batch {
		if !k.done[b] {
			k.wrong("record %d: %s of batch %d is started while batch %d is not completed", r.Revision, e.Agent, e.Batch, b)
		}
	}
	k.starts[key] = append(epochs, k.epoch)
	a.running, a.number = true, e.Number
}

// counters counts the agents, and their tasks.
func (k *checker) counters() {
	var all, tasks ota.Counts
	per := make([]ota.Counts, len(k.h.batches))
	for i, a := range k.h.agents {
		if a.Ordinal != i {
			k.wrong("agent %s has ordinal %d, it is the one at %d", a.ID, a.Ordinal, i)
		}
		add(&all, a.Status, a.AtTarget)
		add(&per[a.Batch], a.Status, a.AtTarget)
		for _, t := range a.Tasks {
			add(&tasks, t.Status, t.Status == ota.TaskSucceeded && t.Reason == ota.ReasonAtTarget)
		}
		if tr := k.agents[a.ID]; tr.number != a.Tasks[0].Attempts {
			k.wrong("agent %s has %d attempts on record, %d in its row", a.ID, tr.number, a.Tasks[0].Attempts)
		}
	}
	if all != k.h.plan.Counts || tasks != k.h.plan.Tasks {
		k.wrong("it counts %+v and tasks %+v, its rows make %+v and %+v", k.h.plan.Counts, k.h.plan.Tasks, all, tasks)
	}
	for i, b := range k.h.batches {
		if per[i] != b.Counts {
			k.wrong("batch %d counts %+v, its rows make %+v", i, b.Counts, per[i])
		}
	}
}

func add(c *ota.Counts, s ota.TaskStatus, atTarget bool) {
	switch s {
	case ota.TaskPending:
		c.Pending++
	case ota.TaskRunning:
		c.Running++
	case ota.TaskWaiting:
		c.Waiting++
	case ota.TaskSucceeded:
		c.Succeeded++
	case ota.TaskFailed:
		c.Failed++
	case ota.TaskSkipped:
		c.Skipped++
	case ota.TaskCanceled:
		c.Canceled++
	case ota.TaskUnknown:
		c.Unknown++
	}
	if atTarget {
		c.AtTarget++
	}
}

// fleet compares what the agents saw with what the store has: every call was committed first, under its epoch, and made
// once; every attempt on record that has ended had its one effect; and an effect never comes from a lower epoch than
// the one before it.
func (k *checker) fleet(lines []line) {
	calls := map[string]bool{}  // by key and epoch
	effects := map[string]int{} // by key
	last := map[string]uint64{} // epoch of an agent's last effect
	worked := map[string]bool{} // agents with an effect
	number := map[string]int{}  // of an agent's newest effect
	for _, l := range lines {
		key := l.key()
		if !l.Effect {
			id := fmt.Sprintf("%s@%d", key, l.Epoch)
			if calls[id] {
				k.wrong("%s was called twice under epoch %d", key, l.Epoch)
			}
			calls[id] = true
			if !slices.Contains(k.starts[key], l.Epoch) {
				k.wrong("%s was called under epoch %d, but committed under %v", key, l.Epoch, k.starts[key])
			}
			continue
		}
		if effects[key]++; effects[key] > 1 {
			k.wrong("%s had %d effects", key, effects[key])
		}
		if l.Epoch < last[l.Agent] || l.Number < number[l.Agent] {
			k.wrong("%s took effect under epoch %d, after attempt %d under epoch %d", key, l.Epoch, number[l.Agent], last[l.Agent])
		}
		last[l.Agent], number[l.Agent], worked[l.Agent] = l.Epoch, l.Number, true
	}
	for _, a := range k.h.agents {
		if a.Status == ota.TaskSucceeded && !a.AtTarget && !worked[a.ID] {
			k.wrong("%s has succeeded, but was never changed", a.ID)
		}
		for n := 1; n <= a.Tasks[0].Attempts; n++ {
			key := fmt.Sprintf("%s/%s/%d", k.h.plan.ID, a.ID, n)
			if effects[key] != 1 && a.Status != ota.TaskUnknown {
				k.wrong("%s is on record, and had %d effects", key, effects[key])
			}
		}
		if worked[a.ID] && !a.Changed && !strings.HasPrefix(a.ID, "busy-") {
			k.wrong("%s was changed, and does not count as touched", a.ID)
		}
	}
}

// compare returns in what a plan differs from one with the same agents that nobody interrupted.
func compare(got, want history) (problems []string) {
	if len(got.agents) != len(want.agents) {
		return []string{fmt.Sprintf("%s: it has %d agents, uninterrupted %d", got.plan.ID, len(got.agents), len(want.agents))}
	}
	for i, a := range got.agents {
		w := want.agents[i]
		ga, wa := a.Tasks[0], w.Tasks[0]
		if a.ID != w.ID || a.Status != w.Status || ga.Reason != wa.Reason || ga.Attempts != wa.Attempts ||
			ga.Error != wa.Error || a.Changed != w.Changed || ga.Version != wa.Version {
			problems = append(problems, fmt.Sprintf("%s: agent %+v, uninterrupted %+v", got.plan.ID, a, w))
		}
	}
	if got.plan.Counts != want.plan.Counts || got.plan.Status != want.plan.Status {
		problems = append(problems, fmt.Sprintf("%s: %s with %+v, uninterrupted %s with %+v", got.plan.ID, got.plan.Status,
			got.plan.Counts, want.plan.Status, want.plan.Counts))
	}
	return problems
}
