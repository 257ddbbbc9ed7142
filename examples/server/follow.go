package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// follower logs what becomes of every plan: a line for each change of its status, with the reason and the counts. What came
// and went within a moment is told by the plan's own log, which the API shows.
type follower struct {
	engine *ota.Engine
	store  ota.Store
	log    *slog.Logger
	due    map[string]bool       // plans to look at
	known  map[string]ota.Status // what was logged last
}

// moment is how long changes are gathered, so that a busy plan costs a few reads a second.
const moment = 200 * time.Millisecond

// run follows the plans until ctx ends.
func (f *follower) run(ctx context.Context) error {
	f.due, f.known = map[string]bool{}, map[string]ota.Status{}
	var changes <-chan string // nil: nothing ever comes
	if n, ok := f.store.(ota.Notifier); ok {
		var err error
		if changes, err = n.Changes(ctx); err != nil {
			f.log.WarnContext(ctx, "changes are looked for now and then only", "error", err)
		}
	}
	f.active(ctx)
	look, list := time.NewTicker(moment), time.NewTicker(25*moment)
	defer look.Stop()
	defer list.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case id, ok := <-changes:
			if !ok {
				changes = nil
			}
			f.due[id] = ok
		case <-look.C:
			for id, due := range f.due {
				if due {
					f.look(ctx, id)
				}
			}
			clear(f.due)
		case <-list.C: // a change may be lost on its way
			f.active(ctx)
		}
	}
}

// active finds the plans that have not ended, and those that had not when they were looked at last.
func (f *follower) active(ctx context.Context) {
	for id, st := range f.known {
		f.due[id] = f.due[id] || !st.Ended()
	}
	q := ota.PlanQuery{Status: []ota.Status{
		ota.StatusPending, ota.StatusRunning, ota.StatusPausing, ota.StatusPaused, ota.StatusCanceling, ota.StatusRollingBack,
	}}
	for {
		page, err := f.engine.Plans(ctx, q)
		if err != nil {
			return // the engine logs that the Store does not answer
		}
		for i := range page.Items {
			f.due[page.Items[i].ID] = true
		}
		if q.Offset += len(page.Items); !page.More {
			return
		}
	}
}

// look logs a plan if its status is another one than the last time.
func (f *follower) look(ctx context.Context, id string) {
	p, err := f.engine.Plan(ctx, id)
	if err != nil || p.Status == f.known[id] {
		return
	}
	why := ""
	if x, err := f.engine.Explain(ctx, id); err == nil && !p.Status.Ended() {
		why = x.Sentence()
	}
	was := "new"
	if st, ok := f.known[id]; ok {
		was = st.String()
	}
	level := slog.LevelInfo
	if len(p.Breaches) > 0 {
		level = slog.LevelWarn
	}
	f.known[id] = p.Status
	f.log.LogAttrs(ctx, level, "plan", slog.String("id", id), slog.String("name", p.Name), slog.String("was", was), slog.String("is", p.Status.String()),
		slog.String("why", why), slog.Int("agents", p.Agents), slog.Int("succeeded", p.Counts.Succeeded), slog.Int("failed", p.Counts.Bad()))
}
