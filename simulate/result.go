package simulate

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Stop is why a simulation stopped.
type Stop uint8

// Why a simulation stopped.
const (
	StopEnded   Stop = iota + 1 // the plan has ended
	StopPaused                  // the plan is paused
	StopWaits                   // only a verb or an answer helps; see Result.Blockers
	StopMaxTime                 // Options.MaxTime has passed
)

var stopNames = []string{"none", "ended", "paused", "waits", "limit"}

// String returns the reason as one word: ended, paused, waits or limit.
func (s Stop) String() string {
	if int(s) < len(stopNames) {
		return stopNames[s]
	}
	return strconv.Itoa(int(s))
}

// MarshalText returns what String returns.
func (s Stop) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText accepts what String returns, and returns an error for everything else.
func (s *Stop) UnmarshalText(b []byte) error {
	i := slices.Index(stopNames, string(b))
	if i < 0 {
		return fmt.Errorf("simulate: unknown end of a simulation %q, want one of %v", b, stopNames)
	}
	*s = Stop(i)
	return nil
}

// Result is what a simulated plan has done.
type Result struct {
	// Plan is the plan at the end of the simulation.
	Plan ota.Plan `json:"plan"`
	// Rollback is its rollback plan at that moment, if a breach has made one.
	Rollback *ota.Plan `json:"rollback,omitempty"`
	// Stop is why the simulation stopped.
	Stop Stop `json:"stop"`
	// Start and End are the virtual times at which the simulation began and stopped, UTC.
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// Blockers hold the plan back at the end, unless it has ended. While its rollback plan is at
	// work they are those of that plan.
	Blockers []ota.Blocker `json:"blockers,omitempty"`
	// Timeline is what happened to the plan, its rollback plan and their batches, in order. Records
	// has everything.
	Timeline []Event `json:"timeline"`
	// Breaches are the breaches of Timeline: when the plan would have paused, and why.
	Breaches []Event `json:"breaches,omitempty"`
	// Failed are the first 1,000 agents of the plan that failed, in the plan's order, and why.
	// Plan.Counts counts all.
	Failed []ota.AgentInfo `json:"failed,omitempty"`
	// Batches are the batches of the plan at the end.
	Batches []ota.Batch `json:"batches"`
	// Calls is how many calls of the Executor were made.
	Calls int `json:"calls"`

	engine *ota.Engine
}

// maxFailed is how many failed agents a Result names.
const maxFailed = 1000

// Event is one entry of a timeline.
type Event struct {
	After time.Duration `json:"after"` // since the start of the simulation
	Plan  string        `json:"plan"`  // ID of the plan, or of its rollback plan
	ota.Event
	Status ota.Status `json:"status"` // of that plan, after the record that has the event
}

// Took is how much virtual time has passed.
func (r *Result) Took() time.Duration { return r.End.Sub(r.Start) }

// Records yields every record of the log of the plan, or of its rollback plan, in order: what
// ota.Engine.Watch would have shown. id is the ID of one of the two; any other is ota.ErrNotFound.
func (r *Result) Records(id string) iter.Seq2[ota.Record, error] {
	return func(yield func(ota.Record, error) bool) {
		ctx := context.Background()
		p, err := r.engine.Plan(ctx, id)
		if err != nil {
			yield(ota.Record{}, err)
			return
		}
		for rec, err := range r.engine.Watch(ctx, id, 0) {
			if !yield(rec, err) || rec.Revision >= p.Revision {
				return
			}
		}
	}
}

// Agents returns one page of the agents of the plan, or of its rollback plan, as they were at the
// end. id is the ID of one of the two; any other is ota.ErrNotFound.
func (r *Result) Agents(id string, q ota.AgentQuery) (ota.Page[ota.AgentInfo], error) {
	return r.engine.Agents(context.Background(), id, q)
}

// result collects what has happened.
func (s *simulator) result(stop Stop) (*Result, error) {
	out := &Result{Stop: stop, Start: s.opt.Start, End: s.clock.now, Calls: s.calls, engine: s.engine}
	id := s.plans[0].id
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
	q := ota.AgentQuery{Status: []ota.TaskStatus{ota.TaskFailed, ota.TaskUnknown}, Limit: maxFailed}
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
	if stop != StopEnded {
		out.Blockers = s.plans[len(s.plans)-1].stepper.Blockers()
	}
	return out, s.timeline(out)
}

// timeline picks from the logs what concerns plans and batches.
func (s *simulator) timeline(out *Result) error {
	for _, p := range s.plans {
		for rec, err := range out.Records(p.id) {
			if err != nil {
				return err
			}
			for _, e := range rec.Events {
				if e.Kind == ota.EventOwned || e.Kind >= ota.EventTaskStarted {
					continue
				}
				at := Event{After: rec.At.Sub(out.Start), Plan: p.id, Event: e, Status: rec.Status}
				out.Timeline = append(out.Timeline, at)
				if e.Kind == ota.EventBreach {
					out.Breaches = append(out.Breaches, at)
				}
			}
		}
	}
	byTime := func(a, b Event) int { return cmp.Compare(a.After, b.After) }
	slices.SortStableFunc(out.Timeline, byTime)
	slices.SortStableFunc(out.Breaches, byTime)
	return nil
}

// String returns the result as lines for people: its timeline, and how it ended.
func (r *Result) String() string {
	var b strings.Builder
	for _, e := range r.Timeline {
		if e.Plan != r.Plan.ID {
			b.WriteString("  rollback ")
		}
		fmt.Fprintf(&b, "%s\n", e)
	}
	fmt.Fprintf(&b, "%s after %v: %d of %d succeeded, %d failed, calls: %d\n",
		r.Plan.Status, r.Took().Round(time.Millisecond), r.Plan.Counts.Succeeded, r.Plan.Agents, r.Plan.Counts.Bad(), r.Calls)
	for _, x := range r.Blockers {
		fmt.Fprintf(&b, "  %s\n", x)
	}
	return b.String()
}

// String returns the event as one line without an end, for example "+1h5m0s batch_completed batch
// 3".
func (e Event) String() string {
	parts := []string{"+" + e.After.Round(time.Millisecond).String(), e.Kind.String()}
	if e.Batch >= 0 {
		parts = append(parts, fmt.Sprint("batch ", e.Batch))
	}
	if e.Kind == ota.EventStatus {
		parts = append(parts, e.Status.String())
	}
	if e.Text != "" && e.Kind != ota.EventStatus {
		parts = append(parts, e.Text)
	}
	return strings.Join(parts, " ")
}
