package ota

import (
	"context"
	"slices"
	"time"
)

// release ends the claims on agents with which the plan is done. The commit that says so comes
// first: a crash in between leaves them claimed until the plan ends, and never frees one too early.
func (d *driver) release(now time.Time, all bool) {
	n := len(d.session.released)
	if n == 0 || !all && n < orderChunk && now.Before(d.nextRelease) {
		return
	}
	d.nextRelease = now.Add(releaseEvery)
	ctx, cancel := context.WithTimeout(context.Background(), d.host.opt.Lease)
	defer cancel()
	d.host.release(ctx, d.session)
}

// releases is when agents are to be released next, zero when there are none.
func (d *driver) releaseDue() time.Time {
	if len(d.session.released) == 0 {
		return time.Time{}
	}
	return d.nextRelease
}

// releaseEvery is how long agents are collected for one Release at most, unless there are many.
const releaseEvery = time.Second

// release releases what a session has collected, where the Store is a Claimer. What could not be
// released stays collected.
func (e *host) release(ctx context.Context, x *session) {
	c := e.with.Claimer
	for c != nil && len(x.released) > 0 {
		chunk := x.released[:min(len(x.released), orderChunk)]
		if err := c.Release(ctx, x.plan, chunk); err != nil {
			e.opt.Logger.WarnContext(ctx, "agents are not released yet", "plan", x.plan, "agents", len(x.released), "error", err)
			return
		}
		x.released = slices.Delete(x.released, 0, len(chunk))
	}
	x.released = x.released[:0]
}
