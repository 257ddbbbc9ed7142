package ota

import (
	"context"
	"log/slog"
)

// notice tells the Logger what an operator has to know of a plan: its breaches, and what becomes of it. It is the engine that
// drives the plan that tells it, once.
type notice struct {
	lastBreach uint64 // the newest breach that was told, or was there before
	status     Status
}

// tell says what is new.
func (n *notice) log(ctx context.Context, log *slog.Logger, st *state) {
	was := *n
	*n = notice{lastBreach: st.p.LastBreach, status: st.loggedStatus}
	if was == *n {
		return
	}
	log = log.With("plan", st.id, "name", st.spec.Name)
	for i := range st.p.Breaches {
		if b := &st.p.Breaches[i]; b.Number > was.lastBreach {
			log.WarnContext(ctx, "plan breached", "why", b.String(), "action", b.Action)
		}
	}
	c := &st.p.Counts
	log = log.With("batch", st.p.Batch, "succeeded", c.Succeeded, "failed", c.Bad(), "pending", c.Pending)
	switch st.loggedStatus {
	case was.status:
	case StatusPaused:
		log.WarnContext(ctx, "plan paused", "was", was.status)
	default:
		log.InfoContext(ctx, "plan status changed", "was", was.status, "is", st.loggedStatus)
	}
}
