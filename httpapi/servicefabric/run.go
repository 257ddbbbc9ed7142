package servicefabric

import (
	"context"
	"maps"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// lookAgain is how often Run looks through all upgrades for what another process has left to be
// done.
const lookAgain = time.Minute

// Run starts upgrades that wait for a rollback to end, and finishes what a process that died has
// begun, until ctx ends; it returns nil then. Several processes may run it at once. Without it such
// an upgrade starts when Upgrade is called again.
func (h *Handler) Run(ctx context.Context) error {
	var looked time.Time
	waits := map[string]time.Duration{} // of plans of which a step has failed
	due := map[string]time.Time{}
	for {
		now := h.base.Clock.Now()
		if looked.IsZero() || now.Sub(looked) >= lookAgain {
			if err := h.look(ctx); err == nil {
				looked = now
			} else if ctx.Err() == nil {
				h.base.Logger.ErrorContext(ctx, "looking for upgrades to be started failed", "error", err)
			}
		}
		for id, number := range h.tracked() {
			if now.Before(due[id]) {
				continue
			}
			more, err := h.settle(ctx, id)
			switch {
			case err != nil && ctx.Err() == nil:
				waits[id] = min(max(2*waits[id], h.opt.Poll), 30*time.Second)
				due[id] = now.Add(waits[id])
				h.base.Logger.WarnContext(ctx, "an upgrade cannot be finished or started yet", "plan", id, "again_in", waits[id], "error", err)
			case err == nil:
				delete(waits, id)
				delete(due, id)
				if !more {
					h.untrack(id, number)
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-h.base.Clock.After(h.opt.Poll):
		}
	}
}

// look finds the plans of this dialect that have something to be done.
func (h *Handler) look(ctx context.Context) error {
	q := ota.PlanQuery{Labels: map[string]string{labelDialect: dialect}}
	for {
		page, err := h.engine.Plans(ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			p := &page.Items[i]
			_, goal := p.Annotations[keyGoal]
			_, launch := p.Annotations[keyLaunch]
			_, failed := p.Annotations[keyFailure]
			if goal || launch || failed && (p.Status == ota.StatusPausing || p.Status == ota.StatusPaused) {
				h.track(p.ID)
			}
		}
		q.Offset += len(page.Items)
		if !page.More {
			return nil
		}
	}
}

// track has Run look after a plan.
func (h *Handler) track(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tracks++
	h.open[id] = h.tracks
}

// untrack ends that, unless it was asked for again meanwhile.
func (h *Handler) untrack(id string, number uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open[id] == number {
		delete(h.open, id)
	}
}

func (h *Handler) tracked() map[string]uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.open)
}
