package ota

import (
	"strconv"

	"github.com/seed-19b57ce3/ota/internal/queue"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// lookAhead is how many agents may wait in lines. The search for pending agents stops there, so that
// a batch whose next agents all have full lanes does not fill the memory.
const lookAhead = 2 * pageSize

// lanes divide the agents that need a slot by their value of the budgeted label. The rows determine
// them; they are not stored.
type lanes struct {
	queue.Lanes
	budget Budget // of the policy at the time
}

func newLanes(b Budget) lanes { return lanes{Lanes: queue.NewLanes(b.Max), budget: b} }

// count records that an agent takes a slot, or returns it.
func (ls *lanes) count(r *cachedRow, by int) {
	if ls.budget.Label != "" {
		ls.Count(r.Agent.Labels[ls.budget.Label], by)
	}
}

// wait puts an agent into line, unless its lane has a free slot for it.
func (ls *lanes) wait(r *cachedRow) bool {
	return ls.budget.Label != "" && ls.Wait(r.Agent.Labels[ls.budget.Label], r.Ordinal)
}

// full reports whether no agent of the same lane may take a slot.
func (ls *lanes) full(r *cachedRow) bool {
	return ls.budget.Label != "" && ls.Full(r.Agent.Labels[ls.budget.Label])
}

// budgetLimit reports the budget only if it blocks every agent that needs a slot. The lanes decide
// for each agent.
func budgetLimit(v *view) allowance {
	if v.inLine == 0 || v.fresh+v.ready > 0 {
		return unlimited
	}
	r := slots(0, ReasonBudget)
	b := v.c.Policy.Budget
	r.Text = plural.Count(v.inLine, "agent") + " " + plural.Verb(v.inLine, "waits", "wait") + " for others with the same " + b.Label + ", of which " + strconv.Itoa(b.Max) + " may be open"
	return r
}
