package ota

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota/internal/plural"
	"github.com/seed-19b57ce3/ota/internal/queue"
)

// turns apply Budget.Values: in each batch the values of a label take turns. Agents of a value
// without a turn are not queued, since there may be very many. The search for pending agents passes
// them, and begins again at the first of them when a value has had its turn.
type turns struct {
	most   int // values in use at once; 0: no budget has Values
	budget int // index of the budget
	// values that have begun in the current batch, and may have unfinished agents in it
	begun   map[string]struct{}
	from    int        // 1 + the lowest ordinal of a pending agent that was passed; 0: none
	waiting queue.FIFO // agents between two attempts, without a slot, whose value has no turn
	over    bool       // an agent was passed because more values were in use than allowed
	stale   bool       // a value may have had its turn since the last look
}

// newTurns returns the turns of the current batch, with the values that have begun in it. A
// rollback has none.
func (s *state) newTurns(budgets []Budget) turns {
	i := slices.IndexFunc(budgets, func(b Budget) bool { return b.Values > 0 })
	if i < 0 || s.spec.Source != "" {
		return turns{}
	}
	t := turns{most: budgets[i].Values, budget: i, begun: map[string]struct{}{}, stale: true}
	if b := s.current(); b != nil && b.InUseLabel == budgets[i].Label {
		for _, value := range b.InUse[:min(len(b.InUse), t.most)] { // an edit may have lowered it
			t.begun[value] = struct{}{}
		}
	}
	return t
}

// valueOfTurn is the value of an agent that takes turns.
func (ls *lanes) valueOfTurn(r *cachedRow) string {
	return r.Agent.Labels[ls.budgets[ls.turns.budget].Label]
}

// inUse returns how many values are in use.
func (ls *lanes) inUse() int {
	n := ls.used[ls.turns.budget]
	for value := range ls.turns.begun {
		if ls.Taken(ls.turns.budget, value) <= 0 {
			n++
		}
	}
	return n
}

// admits reports whether an agent that needs a slot may have one by the turns: its value is in use,
// or may be. While more values are in use than allowed, because agents of another one went down,
// only agents that are down may start.
func (ls *lanes) admits(r *cachedRow) bool {
	t := &ls.turns
	if t.most == 0 {
		return true
	}
	value := ls.valueOfTurn(r)
	switch _, begun := t.begun[value]; {
	case ls.unavailable[t.budget] && r.is(agentDown):
		return true
	case begun, ls.Taken(t.budget, value) > 0:
		return ls.inUse() <= t.most
	default:
		return ls.inUse() < t.most
	}
}

// postpone passes an agent that needs a slot, if its value has no turn.
func (ls *lanes) postpone(r *cachedRow) bool {
	return ls.turns.most > 0 && !ls.admits(r) && ls.passed(r)
}

// passed records an agent that was passed.
func (ls *lanes) passed(r *cachedRow) bool {
	t := &ls.turns
	t.over = t.over || ls.inUse() > t.most
	switch {
	case r.State.Status == TaskWaiting:
		t.waiting.Push(r.Ordinal)
	case t.from == 0 || r.Ordinal < t.from-1:
		t.from = r.Ordinal + 1
	}
	return true
}

// postponed returns how many agents were passed; of pending ones only the first counts.
func (t *turns) postponed() int { return t.waiting.Len() + min(t.from, 1) }

// beginTurn records that a value has begun in the current batch.
func (s *state) beginTurn(r *cachedRow) {
	ls := &s.queue.lanes
	if ls.turns.most == 0 || r.Batch != s.p.Batch {
		return
	}
	value := ls.valueOfTurn(r)
	if _, begun := ls.turns.begun[value]; begun {
		return
	}
	ls.turns.begun[value] = struct{}{}
	b := s.current()
	b.InUseLabel, b.InUse = ls.budgets[ls.turns.budget].Label, slices.Sorted(maps.Keys(ls.turns.begun))
	s.dirtyBatch(b)
}

// nextTurns ends the turns of values whose agents in the batch have finished. Then the search
// begins again at the first agent that was passed. It can tell only when the search has come to the
// end of the batch.
func (s *state) nextTurns() {
	q, b := &s.queue, s.current()
	t := &q.lanes.turns
	if t.most == 0 || !t.stale || t.postponed()+s.urgents == 0 || b == nil {
		return
	}
	if b.Status == BatchRunning && b.Counts.Pending > 0 && q.next < b.First+b.Size {
		return
	}
	t.stale = false
	if unfinished, known := s.unfinishedValues(b); known {
		maps.DeleteFunc(t.begun, func(value string, _ struct{}) bool { return !unfinished[value] })
	}
	q.lanes.endTurns()
	if n := q.lanes.inUse(); n > t.most || n == t.most && !t.over {
		return
	}
	t.over = false
	if t.from > 0 {
		q.next, t.from = t.from-1, 0
	}
	for t.waiting.Len() > 0 {
		q.back.Push(t.waiting.Pop())
	}
}

// endTurns ends turns of values without an open agent while more values have begun than allowed. An
// edit can lower Values, or bring it when many agents are open.
func (ls *lanes) endTurns() {
	t := &ls.turns
	for _, value := range slices.Backward(slices.Sorted(maps.Keys(t.begun))) {
		if len(t.begun) <= t.most {
			return
		}
		if ls.Taken(t.budget, value) <= 0 {
			delete(t.begun, value)
		}
	}
}

// unfinishedValues returns the values of agents that the search has met and that have not finished.
// They are not known while a blocked or prechecked agent is not in memory.
func (s *state) unfinishedValues(b *batch) (unfinished map[string]bool, known bool) {
	q := &s.queue
	unfinished = map[string]bool{}
	s.rows.busyRows(func(r *cachedRow) {
		if r.Batch == b.Index {
			unfinished[q.lanes.valueOfTurn(r)] = true
		}
	})
	for values := range q.lanes.Lines {
		unfinished[values[q.lanes.turns.budget]] = true
	}
	var pending []int
	for o := range q.checks.of {
		pending = append(pending, o)
	}
	for _, x := range q.blocked {
		if x.pending {
			pending = append(pending, x.ordinal)
		}
	}
	for _, o := range pending {
		r := s.rows.at(o)
		if r == nil {
			return nil, false
		}
		unfinished[q.lanes.valueOfTurn(r)] = true
	}
	return unfinished, true
}

// turnText says which values are in use.
func (v *view) turnText() string {
	for _, b := range v.c.Policy.Budgets {
		if b.Values == 0 {
			continue
		}
		text := "agents wait for their turn: " + plural.Count(b.Values, "value/of "+b.Label) + " may be in use"
		if v.b != nil && len(v.b.InUse) > 0 {
			var names []string
			for _, value := range v.b.InUse {
				names = append(names, strconv.Quote(value))
			}
			text += ", and these have begun: " + strings.Join(names, ", ")
		}
		return text
	}
	return ""
}
