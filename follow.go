package ota

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"time"
)

// Follow yields a plan at once, and then whenever it has changed, but at most once in each period
// of every. It leaves out states in between, and never the last one. So its cost does not depend on
// the speed of the plan. A plan changes when its Revision or its Waiting does. 0 means no pause
// between two states.
//
// Follow ends when ctx ends, after an error, or when the caller's loop stops. It does not end with
// the plan: Plan.Status shows whether that has ended. The last pair has the error, which is
// ErrNotFound for a plan that does not exist, or the cause of ctx.
func (e *Engine) Follow(ctx context.Context, id string, every time.Duration) iter.Seq2[Plan, error] {
	return func(yield func(Plan, error) bool) {
		changed, stop := e.hub.Watch(id)
		defer stop()
		var last planVersion
		for {
			p, err := e.Plan(ctx, id)
			switch v := versionOf(&p); {
			case err != nil:
			case v == last:
				err = e.awaitChange(ctx, changed)
			case !yield(p, nil):
				return
			default:
				last, err = v, e.sleep(ctx, every)
			}
			if err != nil {
				yield(Plan{}, err)
				return
			}
		}
	}
}

// FollowAll yields every plan that q selects at once, the oldest first, and then each one that has
// changed or that is new, as Follow does for one plan. In each period of every it yields a plan at
// most once. It yields a plan once more when q no longer selects it, unless the plan was pruned. It
// does not see a plan that q selects only between two rounds.
//
// FollowAll reads all plans that q selects in each round, and rounds are at least every apart. With
// nothing new, the next round waits for a verb or a new plan, but at most Options.Poll. q.Limit is
// how many plans it reads at a time. It ignores q.Sort, q.Cursor and q.Offset.
// FollowAll ends as Follow does.
func (e *Engine) FollowAll(ctx context.Context, q PlanQuery, every time.Duration) iter.Seq2[Plan, error] {
	q.Sort, q.Offset, q.Total = SortOldest, 0, false // pages of the oldest plans miss none that is new
	return func(yield func(Plan, error) bool) {
		changed, stop := e.hub.Watch("")
		defer stop()
		f := follower{e: e, yield: yield, last: map[string]planVersion{}}
		for {
			found, more, err := f.round(ctx, q)
			if !more {
				return
			}
			if err == nil {
				err = e.sleep(ctx, every)
			}
			if err == nil && !found {
				err = e.awaitChange(ctx, changed)
			}
			if err != nil {
				yield(Plan{}, err)
				return
			}
		}
	}
}

// planVersion is what differs between two states of a plan.
type planVersion struct {
	revision uint64
	waiting  Waiting
}

func versionOf(p *Plan) planVersion {
	v := planVersion{revision: p.Revision}
	if p.Waiting != nil {
		v.waiting = *p.Waiting
	}
	return v
}

// follower is one FollowAll.
type follower struct {
	e     *Engine
	yield func(Plan, error) bool
	last  map[string]planVersion // by plan that was selected in the last round
}

// round yields the plans that have changed since the round before. found reports that there were
// some. more is false if the caller's loop has stopped.
func (f *follower) round(ctx context.Context, q PlanQuery) (found, more bool, err error) {
	next := make(map[string]planVersion, len(f.last))
	for q.Cursor = ""; ; {
		page, err := f.e.Plans(ctx, q)
		if err != nil {
			return found, true, err
		}
		for i := range page.Items {
			p := &page.Items[i]
			next[p.ID] = versionOf(p)
			if next[p.ID] == f.last[p.ID] {
				continue
			}
			if found = true; !f.yield(*p, nil) {
				return found, false, nil
			}
		}
		if q.Cursor = page.Next; !page.More {
			break
		}
	}
	for _, id := range slices.Sorted(maps.Keys(f.last)) {
		if _, selected := next[id]; selected {
			continue
		}
		p, err := f.e.Plan(ctx, id)
		if errors.Is(err, ErrNotFound) { // it was pruned
			continue
		}
		if err != nil {
			return found, true, err
		}
		if found = true; !f.yield(p, nil) {
			return found, false, nil
		}
	}
	f.last = next
	return found, true, nil
}
