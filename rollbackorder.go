package ota

import (
	"cmp"
	"slices"
)

// The order of a rollback in one batch: first the agents that are bad, then those in flight, then
// the others, the last changed first. With the batches of the source, these have the reverse order,
// and bad agents have no precedence. Agents for which a call is out come last in both.

// take is one step of the order: agents of one batch of the source join the rollback plan.
type take struct {
	batch int // of the source; allDeferred: the agents that come last
	bad   bool
}

const allDeferred = -1

// isBad reports whether an agent that a plan has changed does not work, as far as is known: it is
// failed, unknown or unhealthy, or its last attempt has failed and another one was to follow.
func isBad(r *agentRow) bool {
	s := &r.State
	switch s.Status {
	case TaskWaiting: // also between two tasks, of which the first has succeeded
		return s.task(s.active()).Status == TaskWaiting
	case TaskPending: // it was retried
		return true
	default:
		return bad(s.Status) || s.Flags&agentUnhealthy != 0
	}
}

// takes lists the steps of the order.
func (rb *rollbackBuilder) takes() ([]take, error) {
	order, err := rb.order()
	if err != nil {
		return nil, err
	}
	var steps []take
	if !rb.keepsBatches() {
		for _, i := range order {
			steps = append(steps, take{batch: i, bad: true})
		}
	}
	for _, i := range order {
		steps = append(steps, take{batch: i})
	}
	return append(steps, take{batch: allDeferred}), nil
}

// keepsBatches reports whether the rollback plan has the batches of its source.
func (rb *rollbackBuilder) keepsBatches() bool {
	r := rb.source.Control.Rollback // nil: the caller only counts
	return r != nil && r.Spec.Inherit != InheritLimits
}

// order lists the batches of the source in the order of the rollback: the current one, those that
// have not begun but have urgent agents, then those before.
func (rb *rollbackBuilder) order() ([]int, error) {
	p := &rb.source.Progress
	current := min(p.Batch, rb.source.Spec.Batches-1)
	order := []int{current}
	for from := p.Reached + 1; from < rb.source.Spec.Batches; {
		page, err := rb.e.store.Batches(rb.ctx, rb.source.ID, rowQuery{From: from})
		if err != nil {
			return nil, err
		}
		for _, b := range page.Items {
			from = b.Index + 1
			if b.Changed+b.Counts.Running > 0 && b.Index != current {
				order = append(order, b.Index)
			}
		}
		if len(page.Items) == 0 {
			break
		}
	}
	for i := p.Reached; i >= 0; i-- {
		if i != current {
			order = append(order, i)
		}
	}
	return order, nil
}

// findCalls finds the agents for which a call is out. They wait until it has returned, and come
// last so that they do not delay the others.
func (rb *rollbackBuilder) findCalls() error {
	rb.inCall = map[string]bool{}
	for _, agent := range rb.e.abandoned.agents(rb.source.ID, false) {
		rb.inCall[agent] = true
	}
	others, err := rb.e.blockedElsewhere(rb.ctx, rb.source.ID)
	for _, b := range others {
		rb.inCall[b.agent] = true
	}
	return err
}

// take makes the rows of one step.
func (rb *rollbackBuilder) take(step take, later []string) ([]agentRow, error) {
	if step.batch == allDeferred {
		return rb.makeRows(rb.reopen(), rb.deferred, later)
	}
	page, err := rb.e.store.Batches(rb.ctx, rb.source.ID, rowQuery{From: step.batch, To: step.batch + 1})
	if err != nil || len(page.Items) == 0 {
		return nil, err
	}
	src := &page.Items[0]
	rb.gated = rb.gated || src.Gate != GateNone
	if step.bad && src.Counts.Bad()+src.Counts.Waiting+src.Counts.Pending+src.Unhealthy == 0 {
		return nil, nil
	}
	found, err := rb.find(src, step.bad)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(a, b agentRow) int {
		return cmp.Or(-cmp.Compare(inFlight(&a), inFlight(&b)), -cmp.Compare(lastEnd(&a), lastEnd(&b)))
	})
	if rb.keepsBatches() {
		return rb.makeRows(rb.newBatch(src.Name), found, later)
	}
	return rb.makeRows(rb.reopen(), found, later)
}

// find returns the agents of a batch of the source that the rollback takes back, except those that
// it has found before. The source may still change, so an agent may be bad in one of two reads
// only.
func (rb *rollbackBuilder) find(src *batchRow, onlyBad bool) (found []agentRow, err error) {
	for q := (rowQuery{From: src.First, To: src.First + src.Size}); ; {
		page, err := rb.e.store.Agents(rb.ctx, rb.source.ID, q)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Items {
			q.From = r.Ordinal + 1
			switch {
			case r.State.Flags&agentChanged == 0 && r.State.Status != TaskRunning:
			case onlyBad && !isBad(&r), rb.found.has(r.Ordinal):
			case rb.inCall[r.Agent.ID]:
				rb.found.add(r.Ordinal)
				rb.deferred = append(rb.deferred, r)
			default:
				rb.found.add(r.Ordinal)
				found = append(found, r)
			}
		}
		if !page.More || len(page.Items) == 0 {
			return found, nil
		}
	}
}

// ordinals is a set of ordinals.
type ordinals []uint64

func (s ordinals) has(i int) bool { return i/64 < len(s) && s[i/64]&(1<<(i%64)) != 0 }

func (s *ordinals) add(i int) {
	if n := i/64 + 1; n > len(*s) {
		*s = append(*s, make([]uint64, n-len(*s))...)
	}
	(*s)[i/64] |= 1 << (i % 64)
}

// newBatch begins a batch of the rollback plan.
func (rb *rollbackBuilder) newBatch(name string) batchRow {
	return batchRow{Index: len(rb.batches), Name: name, First: rb.total, Cursor: rb.total}
}

// reopen removes the last batch from the list and returns it, so that more agents can join it.
// Without a batch it begins one.
func (rb *rollbackBuilder) reopen() batchRow {
	n := len(rb.batches)
	if n == 0 {
		return rb.newBatch("")
	}
	b := rb.batches[n-1]
	rb.batches = rb.batches[:n-1]
	return b
}

func inFlight(r *agentRow) int {
	if r.State.Status == TaskRunning {
		return 1
	}
	return 0
}

func lastEnd(r *agentRow) int64 {
	end := r.State.Task.Ended
	for i := range r.State.Rest {
		end = max(end, r.State.Rest[i].Ended)
	}
	return end
}
