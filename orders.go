package ota

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// Verbs that change agents. Each adds an order to Control, and the plan's owner carries it out.

// order adds an order for the owner.
func (w *command) order(kind orderKind, agents []string, batches []int) {
	w.c.OrderCount++
	if kind == orderRetry || kind == orderSkip {
		w.c.StarvedAnswered = w.row.Progress.LastBreach
	}
	w.c.Orders = slices.DeleteFunc(slices.Clone(w.c.Orders), func(o planOrder) bool { return o.Number <= w.row.Progress.LastOrder })
	w.c.Orders = append(w.c.Orders, planOrder{Number: w.c.OrderCount, Kind: kind, Agents: agents, Batches: batches, By: w.audit()})
	w.event(Event{Kind: EventOrdered, Batch: -1, Number: int(w.c.OrderCount), Text: orderText(kind, agents)})
}

func orderText(kind orderKind, agents []string) string {
	word := map[orderKind]string{orderRetry: "retry", orderSkip: "skip", orderAccept: "accept", orderGiveUp: "give up", orderNow: "now"}[kind]
	switch n := len(agents); {
	case kind == orderAccept:
		return word
	case n == 0:
		return word + " all failed agents"
	case n > 8:
		return fmt.Sprintf("%s %s: %s, …", word, plural.Count(n, "agent"), strings.Join(agents[:8], ", "))
	default:
		return word + " " + strings.Join(agents, ", ")
	}
}

func (w *command) skip(agents []string) error {
	if err := w.legal(); err != nil {
		return err
	}
	if len(agents) == 0 {
		return &FieldError{Field: "agents", Problem: "are missing", Allowed: "IDs of agents that were not started"}
	}
	some := false
	err := w.eachAgent(agents, func(id string, s agentState) error {
		switch {
		case s.Status == TaskPending, s.Status == TaskWaiting:
			some = true
		case s.Status == TaskSkipped:
		default:
			return &FieldError{
				Field: "agents", Value: id, Problem: "is " + s.Status.String(),
				Allowed: "agents that are pending or waiting",
			}
		}
		return nil
	})
	if err != nil || !some {
		return err
	}
	w.order(orderSkip, agents, nil)
	return nil
}

// urgent orders that agents start next.
func (w *command) urgent(agents []string) error {
	if err := w.legal(); err != nil {
		return err
	}
	if w.frozen() {
		return w.refuse("a rollback plan exists")
	}
	const allowed = "agents that are pending or waiting"
	if n := len(agents); n == 0 || n > maxUrgent {
		return &FieldError{Field: "agents", Value: strconv.Itoa(n), Problem: "is not a possible number", Allowed: "the IDs of 1 to 100 " + allowed}
	}
	some := false
	err := w.eachAgent(agents, func(id string, s agentState) error {
		switch {
		case s.Status == TaskPending, s.Status == TaskWaiting && s.Flags&agentUrgent == 0:
			some = true
		case s.Status == TaskWaiting, s.Status == TaskRunning:
		default:
			return &FieldError{Field: "agents", Value: id, Problem: "is " + s.Status.String(), Allowed: allowed}
		}
		return nil
	})
	if err != nil || !some {
		return err
	}
	w.order(orderNow, agents, nil)
	return nil
}

// maxUrgent is how many agents one Now names. A plan in which every agent is urgent has no order.
const maxUrgent = 100

// giveUp orders the end of the attempts that are out for agents. Repeating it changes nothing.
func (w *command) giveUp(agents []string) error {
	if err := w.legal(); err != nil {
		return err
	}
	const allowed = "agents that are running"
	if len(agents) == 0 {
		return &FieldError{Field: "agents", Problem: "are missing", Allowed: "IDs of " + allowed}
	}
	some := false
	err := w.eachAgent(agents, func(id string, s agentState) error {
		t := s.task(s.active())
		switch {
		case s.attemptOpen(s.active(), t.Number):
			some = true
		case s.Status == TaskUnknown:
		case s.Status == TaskWaiting:
			return &FieldError{Field: "agents", Value: id, Problem: "is waiting", Allowed: allowed + "; skip ends one that is waiting"}
		default:
			return &FieldError{Field: "agents", Value: id, Problem: "is " + s.Status.String(), Allowed: allowed}
		}
		return nil
	})
	if err != nil || !some {
		return err
	}
	w.order(orderGiveUp, agents, nil)
	return nil
}

func (w *command) retry(agents []string) error {
	if err := w.legal(); err != nil {
		return err
	}
	if w.frozen() {
		return w.refuse("a rollback plan exists")
	}
	if len(agents) == 0 && w.row.Progress.Counts.Bad() == 0 {
		return w.refuse("no agent has failed")
	}
	err := w.eachAgent(agents, func(id string, s agentState) error {
		if bad(s.Status) {
			return nil
		}
		return &FieldError{Field: "agents", Value: id, Problem: "is " + s.Status.String(), Allowed: "agents that failed"}
	})
	if err != nil {
		return err
	}
	w.c.StragglersAccepted = 0 // the batches that run again wait for their agents
	w.order(orderRetry, agents, nil)
	return nil
}

// eachAgent calls f for these agents as they are now. An unknown ID is ErrNotFound.
func (w *command) eachAgent(ids []string, f func(string, agentState) error) error {
	for chunk := range slices.Chunk(ids, orderChunk) {
		page, err := w.store.Agents(w.ctx, w.row.ID, rowQuery{IDs: chunk, Limit: len(chunk)})
		if err != nil {
			return err
		}
		found := make(map[string]agentState, len(page.Items))
		for _, r := range page.Items {
			found[r.Agent.ID] = r.State
		}
		for _, id := range chunk {
			s, ok := found[id]
			if !ok {
				return fmt.Errorf("%w: plan %s has no agent %q", ErrNotFound, w.row.ID, shorten(id))
			}
			if err := f(id, s); err != nil {
				return err
			}
		}
	}
	return nil
}
