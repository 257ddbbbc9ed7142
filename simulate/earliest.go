package simulate

import (
	"context"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Schedule is when a plan and its batches begin and end at the earliest, from the plan's start on.
type Schedule struct {
	Takes   time.Duration // until the plan's end, or until nothing more happens within ten years
	Batches []BatchTime   // in order
}

// BatchTime is when one batch begins and ends. Both are 0 for a batch that never begins.
type BatchTime struct {
	Begins time.Duration
	Ends   time.Duration // 0 if it never ends
}

// Earliest computes the shortest schedule of a plan that is started at the given time: it simulates
// the plan with calls that all take the same time and succeed, and promotes held batches at once.
// Maintenance windows and soaking count. A zero start is as in Options. Resolve tasks first, with
// ota.Resolved.
//
// It returns what Run returns for a spec that is refused, and an *ota.FieldError for a call that is
// out of its range: 0, or 1 ms to ten years.
func Earliest(ctx context.Context, spec ota.Spec, call time.Duration, start time.Time) (*Schedule, error) {
	if err := checkDuration("call", call, "0, or 1ms to ten years"); err != nil {
		return nil, err
	}
	fleet := FleetFunc(func(a ota.Attempt, _ time.Time) Call {
		return Call{Latency: call, Result: ota.Result{Version: a.ToVersion}}
	})
	r, err := Run(ctx, spec, fleet, Options{Start: start, MaxTime: maxDuration, Promote: true})
	if err != nil {
		return nil, err
	}
	s := &Schedule{Takes: r.Took(), Batches: make([]BatchTime, len(r.Batches))}
	for i, b := range r.Batches {
		if !b.StartedAt.IsZero() {
			s.Batches[i].Begins = b.StartedAt.Sub(r.Start)
		}
		if !b.CompletedAt.IsZero() {
			s.Batches[i].Ends = b.CompletedAt.Sub(r.Start)
		}
	}
	return s, nil
}
