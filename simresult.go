package ota

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxSimFailed is how many failed agents a Simulation names.
const maxSimFailed = 1000

// result is what the simulation has come to.
func (s *simulator) result(id string, stop SimStop) (*Simulation, error) {
	out := &Simulation{Stop: stop, Start: s.opt.Start, End: s.clock.now, Calls: s.calls, engine: s.engine}
	var err error
	if out.Plan, err = s.engine.Plan(s.ctx, id); err != nil {
		return nil, err
	}
	for b, err := range s.engine.Batches(s.ctx, id, 0) {
		if err != nil {
			return nil, err
		}
		out.Batches = append(out.Batches, b)
	}
	q := RowQuery{Status: []TaskStatus{TaskFailed, TaskUnknown}, Limit: maxSimFailed}
	failed, err := s.engine.Agents(s.ctx, id, q)
	if err != nil {
		return nil, err
	}
	out.Failed = failed.Items
	if len(s.plans) > 1 {
		p, err := s.engine.Plan(s.ctx, s.plans[1].id)
		if err != nil {
			return nil, err
		}
		out.Rollback = &p
	}
	if stop != SimEnded {
		v := s.plans[len(s.plans)-1].session.st.view(s.clock.now.UnixNano())
		out.Blockers = v.explain()
	}
	return out, s.timeline(out)
}

// timeline picks from the logs what concerns plans and batches.
func (s *simulator) timeline(out *Simulation) error {
	for _, p := range s.plans {
		for rec, err := range out.Records(p.id) {
			if err != nil {
				return err
			}
			for _, e := range rec.Events {
				if e.Kind == EventOwned || e.Kind >= EventTaskStarted {
					continue
				}
				at := SimEvent{After: rec.At.Sub(out.Start), Plan: p.id, Event: e, Status: rec.Status}
				out.Timeline = append(out.Timeline, at)
				if e.Kind == EventBreach {
					out.Breaches = append(out.Breaches, at)
				}
			}
		}
	}
	byTime := func(a, b SimEvent) int { return cmp.Compare(a.After, b.After) }
	slices.SortStableFunc(out.Timeline, byTime)
	slices.SortStableFunc(out.Breaches, byTime)
	return nil
}

// String returns the simulation as lines for people: its timeline, and how it came to its end.
func (s *Simulation) String() string {
	var b strings.Builder
	for _, e := range s.Timeline {
		if e.Plan != s.Plan.ID {
			b.WriteString("  rollback ")
		}
		fmt.Fprintf(&b, "%s\n", e)
	}
	fmt.Fprintf(&b, "%s after %v: %d of %d agents succeeded, %d failed, %d calls\n",
		s.Plan.Status, s.Took().Round(time.Millisecond), s.Plan.Counts.Succeeded, s.Plan.Agents, s.Plan.Counts.Bad(), s.Calls)
	for _, x := range s.Blockers {
		fmt.Fprintf(&b, "  %s\n", x)
	}
	return b.String()
}

// String returns the event as one line without an end, for example "+1h5m0s batch_completed batch 3".
func (e SimEvent) String() string {
	parts := []string{"+" + e.After.Round(time.Millisecond).String(), e.Kind.String()}
	if e.Batch >= 0 {
		parts = append(parts, fmt.Sprint("batch ", e.Batch))
	}
	if e.Kind == EventStatus {
		parts = append(parts, e.Status.String())
	}
	if e.Text != "" && e.Kind != EventStatus {
		parts = append(parts, e.Text)
	}
	return strings.Join(parts, " ")
}
