package ota

import (
	"context"
	"log/slog"
)

// notice logs what an operator must know of a plan: its breaches and its changes of status. The
// engine that drives the plan logs each once. Only the owner's goroutine uses it.
type notice struct {
	lastBreach uint64 // number of the newest breach that was logged or existed before
	status     Status // the status that was logged last
}

// log logs what is new.
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
