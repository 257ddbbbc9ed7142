package ota

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota/internal/plural"
	"github.com/seed-19b57ce3/ota/internal/queue"
)

// The budgets of a policy, as the owner of a plan applies them. An agent that needs a slot waits in
// the line of its values while one of its budgets is used up.

// lanes count the agents of each value of each budget. They are rebuilt with the queues, and not
// stored. Each agent that is open or prechecked counts once. In a budget of unavailable agents, so
// does each agent that is down.
type lanes struct {
	queue.Lanes
	budgets     []Budget // of the policy at the time
	unavailable []bool   // by budget: agents that are down count
	used        []int    // by budget: values with an agent that counts
	control     uint64   // number of the control whose budgets these are
	turns       turns
	buffer      []string // of values
}

// noValue is the value of an agent that is down, in a budget that counts it already: it needs no
// room. No label has it, since labels are UTF-8.
const noValue = "\xff"

// newLanes returns lanes in which the agents that are down are counted. A rollback repairs, so its
// budgets count open agents only.
func (s *state) newLanes() lanes {
	ls := lanes{budgets: s.c.Policy.Budgets, control: s.controlNumber}
	if len(ls.budgets) == 0 {
		return ls
	}
	var limits []func(string) int
	for _, b := range ls.budgets {
		ls.unavailable = append(ls.unavailable, b.Of == UnavailableAgents && s.spec.Source == "")
		limits = append(limits, func(value string) int {
			if value == noValue {
				return math.MaxInt
			}
			return b.limit(value)
		})
	}
	ls.Lanes, ls.used = queue.NewLanes(limits...), make([]int, len(limits))
	ls.turns = s.newTurns(ls.budgets)
	for i, values := range s.down.values {
		for value, n := range values {
			ls.take(i, value, n)
		}
	}
	return ls
}

// values are those of an agent, one for each budget. They are valid until the next call.
func (ls *lanes) values(r *cachedRow) []string {
	ls.buffer = ls.buffer[:0]
	for i := range ls.budgets {
		value := noValue
		if !ls.unavailable[i] || !r.is(agentDown) {
			value = r.Agent.Labels[ls.budgets[i].Label]
		}
		ls.buffer = append(ls.buffer, value)
	}
	return ls.buffer
}

// count records that an agent takes a slot, or returns it.
func (ls *lanes) count(r *cachedRow, by int) {
	if len(ls.budgets) == 0 {
		return
	}
	for i, value := range ls.values(r) {
		ls.take(i, value, by)
	}
}

// take counts agents of one value.
func (ls *lanes) take(i int, value string, by int) {
	before := ls.Taken(i, value)
	ls.Count(i, value, by)
	ls.turns.stale = ls.turns.stale || by < 0
	if value != noValue {
		ls.used[i] += int(asInt64(before+by > 0) - asInt64(before > 0))
	}
}

// countDown records that an agent went down (by 1) or serves again (-1). While it is open or
// prechecked, it counts anyway.
func (ls *lanes) countDown(r *cachedRow, by int, prechecked bool) {
	for i := range ls.budgets {
		if ls.unavailable[i] {
			n := 1 - int(asInt64(r.is(agentOpen))) - int(asInt64(prechecked))
			ls.take(i, r.Agent.Labels[ls.budgets[i].Label], by*n)
		}
	}
}

// wait puts an agent into line, unless each of its budgets has room for it.
func (ls *lanes) wait(r *cachedRow) bool {
	return len(ls.budgets) > 0 && ls.Wait(r.Ordinal, ls.values(r)...)
}

// full reports whether a budget has no room for an agent.
func (ls *lanes) full(r *cachedRow) bool {
	return len(ls.budgets) > 0 && (!ls.admits(r) || ls.Full(ls.values(r)...))
}

// over reports whether an agent that counts already must not start, because another agent of its
// value went down since. An agent that is down itself may start.
func (ls *lanes) over(r *cachedRow) bool {
	for i := range ls.budgets {
		if ls.unavailable[i] && !r.is(agentDown) && ls.Over(i, r.Agent.Labels[ls.budgets[i].Label]) {
			return true
		}
	}
	t := &ls.turns
	return t.most > 0 && ls.unavailable[t.budget] && !r.is(agentDown) && ls.inUse() > t.most
}

// giveSlotBack takes the slot of a waiting agent that must not start now (see over). The agent then
// waits in line.
func (s *state) giveSlotBack(r *cachedRow) bool {
	if !s.queue.lanes.over(r) {
		return false
	}
	s.setFlag(r, agentOpen, false)
	i := r.State.active()
	s.taskEvent(EventTaskWaiting, r, i, ReasonBudget, "")
	if ls := &s.queue.lanes; !r.is(agentUrgent) && !ls.postpone(r) && !ls.wait(r) {
		s.queue.back.Push(r.Ordinal) // its own place is free again
	}
	return true
}

// leaveLine removes an agent that was ended from its line.
func (q *queues) leaveLine(ordinal int) {
	if q.lanes.InLine() > 0 {
		q.lanes.Remove(ordinal)
		q.passed.Remove(ordinal)
	}
}

// downAgents are the agents of a plan that are down, as far as its budgets need them. They are not
// stored: after a load, and after an edit of the budgets, the owner counts the rows that are down.
// A Store finds these rows quickly.
type downAgents struct {
	counted bool
	next    int              // ordinal at which the count goes on
	values  []map[string]int // by budget, then by value; nil for a budget of open agents
	pending map[int]int      // pending agents that are down: their batch, by ordinal
}

// countBudgets makes the lanes those of the policy. It needs the rows of the agents that are down.
func (s *state) countBudgets() need {
	ls := &s.queue.lanes
	if ls.control != s.controlNumber {
		ls.control = s.controlNumber
		if !slices.EqualFunc(ls.budgets, s.c.Policy.Budgets, Budget.equal) {
			s.down = downAgents{}
			s.enterBatch()
		}
	}
	if s.down.counted {
		return need{}
	}
	if !slices.Contains(ls.unavailable, true) {
		s.down.counted = true
		return need{}
	}
	return need{kind: needDown, from: s.down.next}
}

// downRowsLoaded counts the rows of needDown. Busy rows are in memory, and newer there.
func (s *state) downRowsLoaded(rows []agentRow, more bool) {
	for i := range rows {
		s.down.add(&s.queue.lanes, &rows[i], 1)
		s.down.next = rows[i].Ordinal + 1
	}
	if more && len(rows) > 0 {
		return
	}
	s.rows.busyRows(func(r *cachedRow) {
		if r.is(agentDown) {
			s.down.add(&s.queue.lanes, r.agentRow, 1)
		}
	})
	s.down.counted = true
	s.enterBatch()
}

// countDown adds an agent that is down, or removes it.
func (s *state) countDown(r *cachedRow, by int) {
	if s.down.counted {
		s.down.add(&s.queue.lanes, r.agentRow, by)
	}
}

func (d *downAgents) add(ls *lanes, r *agentRow, by int) {
	if !slices.Contains(ls.unavailable, true) {
		return
	}
	if d.values == nil {
		d.values, d.pending = make([]map[string]int, len(ls.budgets)), map[int]int{}
	}
	switch {
	case r.State.Status != TaskPending:
	case by > 0:
		d.pending[r.Ordinal] = r.Batch
	default:
		delete(d.pending, r.Ordinal)
	}
	for i, counts := range ls.unavailable {
		if !counts {
			continue
		}
		if d.values[i] == nil {
			d.values[i] = map[string]int{}
		}
		value := r.Agent.Labels[ls.budgets[i].Label]
		if d.values[i][value] += by; d.values[i][value] == 0 {
			delete(d.values[i], value)
		}
	}
}

// valuesOf are the counts of one budget.
func (d *downAgents) valuesOf(budget int) map[string]int {
	if d.values == nil {
		return nil
	}
	return d.values[budget]
}

// queueDown queues the pending agents of a batch that are down: they need no room, and start first.
func (s *state) queueDown(b *batch) {
	for _, o := range sortedKeys(s.down.pending) {
		if s.down.pending[o] == b.Index {
			s.queue.down.Push(o)
		}
	}
}

// downCandidate removes the next agent that is down from its queue, unless a budget of open agents
// has no room for it.
func (s *state) downCandidate() (*cachedRow, need) {
	q := &s.queue
	for q.down.Len() > 0 {
		o := q.down.Front()
		r := s.rows.at(o)
		if r == nil {
			return nil, need{kind: needPage, from: o}
		}
		q.down.Pop()
		blocked := q.blockedAt(o)
		switch {
		case !startable(r), r.is(agentOpen), r.is(agentUrgent), q.checks.of[o] != nil:
		case blocked >= 0 && r.State.Status == TaskPending:
			q.blocked[blocked].pending = true
		case r.State.Status == TaskWaiting && q.park(o, &q.down):
		case q.lanes.postpone(r):
		case q.lanes.wait(r):
			if r.State.Status == TaskPending {
				q.passed.Add(o)
			}
		default:
			return r, need{}
		}
	}
	return nil, need{}
}

// budgetLimit reports the budgets only if they block every agent that needs a slot. The lanes
// decide for each agent.
func budgetLimit(v *view) allowance {
	if v.inLine+v.postponed == 0 || v.fresh+v.ready > 0 {
		return unlimited
	}
	r := slots(0, ReasonBudget)
	if v.inLine == 0 {
		r.Text = v.turnText()
		return r
	}
	waiting := plural.Count(v.inLine, "agent") + " " + plural.Verb(v.inLine, "waits", "wait")
	budgets := v.c.Policy.Budgets
	if len(budgets) == 1 && len(budgets[0].Each) == 0 {
		b := budgets[0]
		state := b.Of.String()
		if v.spec.Source != "" {
			state = OpenAgents.String()
		}
		r.Text = waiting + " for others with the same " + b.Label + ", of which " + strconv.Itoa(b.Max) + " may be " + state
		return r
	}
	r.Text = waiting + " for room in the " + plural.Noun(len(budgets), "budget") + " of " + labelsOf(budgets)
	return r
}

func labelsOf(budgets []Budget) string {
	var labels []string
	for _, b := range budgets {
		if !slices.Contains(labels, b.Label) {
			labels = append(labels, b.Label)
		}
	}
	return strings.Join(labels, ", ")
}

// starved returns the values that agents wait for in vain: no agent that is down starts again by
// itself. It is empty while anything else may happen: a start, the end of a call, a timer, an
// answer.
func (s *state) starved(v *view) []starvedValue {
	waiting := v.inLine + len(s.queue.urgent) + v.postponed
	if waiting == 0 || v.status != StatusRunning || v.blocked > 0 || v.fresh+v.ready+v.prechecking+s.p.Open+s.p.Counts.Running+s.queue.timers.Len() > 0 {
		return nil
	}
	found := map[starvedValue]struct{}{}
	for values := range s.queue.lanes.Lines {
		s.addStarved(found, values)
	}
	turn := v.postponed > 0
	for _, o := range s.queue.urgent {
		if r := s.rows.at(o); r != nil && r.State.Status == TaskWaiting {
			turn = turn || !s.queue.lanes.admits(r)
			s.addStarved(found, s.queue.lanes.values(r))
		}
	}
	if turn { // the values that are down take every turn
		i := s.queue.lanes.turns.budget
		for value, n := range s.down.valuesOf(i) {
			found[starvedValue{s.queue.lanes.budgets[i].Label, value, n}] = struct{}{}
		}
	}
	return slices.SortedFunc(maps.Keys(found), starvedValue.compare)
}

// addStarved adds those of an agent's values that are starved.
func (s *state) addStarved(found map[starvedValue]struct{}, values []string) {
	for i, value := range values {
		b := &s.queue.lanes.budgets[i]
		if n := s.down.valuesOf(i)[value]; n > 0 && n >= b.limit(value) {
			found[starvedValue{b.Label, value, n}] = struct{}{}
		}
	}
}

// maxStarved is how many starved values are stored. Resume compares their number with
// Budget.Values.
const maxStarved = maxValues

// starvedVerdict pauses a plan in which only agents are left that wait for a starved value. It does
// so whatever the policy's action is, since going on cannot help.
func (s *state) starvedVerdict(now time.Time) {
	v := s.view(now.UnixNano())
	values := v.starved
	s.p.Starved = slices.Clone(values[:min(len(values), maxStarved)])
	text := firstNames(func(yield func(string) bool) {
		for _, x := range values {
			if !yield(fmt.Sprintf("%s %q has %s down", x.Label, x.Value, plural.Count(x.Down, "agent"))) {
				return
			}
		}
	})
	b := s.current()
	s.recordBreach(Breach{
		Reason: ReasonStarved, Batch: b.Index, At: now, Action: ActionPause,
		Text: plural.Count(cmp.Or(b.Counts.Pending+b.Counts.Waiting, s.p.Counts.Waiting), "agent/cannot start: "+text),
	})
}
