package ota

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// namedAgents are agents of a plan that Explain may name.
type namedAgents struct {
	running []*agentRow // in flight
	waiting []*agentRow // stragglers that wait for another attempt
	urgent  []*agentRow // they wait, and start next by Now
}

func (n *namedAgents) add(r *agentRow) {
	switch {
	case r.State.Status == TaskRunning:
		n.running = append(n.running, r)
	case r.State.Status == TaskWaiting && r.State.Flags&agentUrgent != 0:
		n.urgent = append(n.urgent, r)
	case r.State.Status == TaskWaiting && r.State.Flags&agentStraggler != 0:
		n.waiting = append(n.waiting, r)
	}
}

// named returns the agents in memory that Explain may name. All agents in flight are in memory, and
// all urgent ones.
func (rs *rowCache) named() (n namedAgents) {
	rs.busyRows(func(r *cachedRow) { n.add(r.agentRow) })
	return n
}

// mostNamed is how many agents in flight or waiting Explain reads of a plan that this process does
// not drive.
const mostNamed = 1000

// storedAgents returns the agents in the Store that Explain may name, of the first in flight or
// waiting.
func (e *Engine) storedAgents(ctx context.Context, row *planRow) (n namedAgents, err error) {
	if c := &row.Progress.Counts; c.Running+c.Waiting == 0 {
		return n, nil
	}
	page, err := e.store.Agents(ctx, row.ID, rowQuery{Status: []TaskStatus{TaskRunning, TaskWaiting}, Limit: mostNamed})
	for i := range page.Items {
		n.add(&page.Items[i])
	}
	return n, err
}

// hungAfter is how long a call is in flight before Explain calls it hung: half of AttemptTimeout,
// or of its default if it is off.
func hungAfter(p *Policy) time.Duration {
	if p.AttemptTimeout <= 0 {
		return DefaultAttemptTimeout / 2
	}
	return p.AttemptTimeout / 2
}

// nameHung names the agents whose calls hang, the longest first, and the verb that gives these
// calls up.
func (v *view) nameHung(blockers []Blocker, running []*agentRow) {
	after := hungAfter(&v.c.Policy)
	started := func(r *agentRow) int64 { return r.State.task(r.State.active()).Started }
	hung := slices.DeleteFunc(running, func(r *agentRow) bool { return v.now-started(r) < int64(after) })
	i := slices.IndexFunc(blockers, func(b Blocker) bool { return b.Reason == ReasonInFlight })
	if i < 0 || len(hung) == 0 {
		return
	}
	slices.SortFunc(hung, func(a, b *agentRow) int {
		return cmp.Or(cmp.Compare(started(a), started(b)), cmp.Compare(a.Ordinal, b.Ordinal))
	})
	b := &blockers[i]
	b.Verb, b.With = VerbGiveUp, "of these agents"
	b.Text = fmt.Sprintf("%s, %d for %s or longer: %s", b.Text, len(hung), after, rowNames(hung))
}

// urgentBlocker names the agents that start next by Now, and have not started yet.
func urgentBlocker(urgent []*agentRow) (Blocker, bool) {
	if len(urgent) == 0 {
		return Blocker{}, false
	}
	slices.SortFunc(urgent, func(a, b *agentRow) int { return cmp.Compare(a.Ordinal, b.Ordinal) })
	n := len(urgent)
	return Blocker{
		Reason: ReasonOperator,
		Text:   fmt.Sprintf("%s %s next by now: %s", plural.Count(n, "agent"), plural.Verb(n, "starts", "start"), rowNames(urgent)),
	}, true
}

func rowNames(rows []*agentRow) string {
	return firstNames(func(yield func(string) bool) {
		for _, r := range rows {
			if !yield(r.Agent.ID) {
				return
			}
		}
	})
}

// nameStragglers names the agents that a blocker is about.
func nameStragglers(blockers []Blocker, busy []*agentRow) {
	for i := range blockers {
		b := &blockers[i]
		if b.Reason != ReasonStragglers {
			continue
		}
		rows := slices.DeleteFunc(slices.Clone(busy), func(r *agentRow) bool { return r.State.Flags&agentStraggler == 0 })
		slices.SortFunc(rows, func(a, b *agentRow) int { return a.Ordinal - b.Ordinal })
		if len(rows) > 0 {
			b.Text = fmt.Sprintf("%s: %s", b.Text, rowNames(rows))
		}
		b.Verb, b.With = VerbGiveUp, "of these agents"
	}
}
