package ota

import (
	"context"
	"slices"
	"time"
)

// release ends claims on agents that the plan is done with. Their commit came first. A crash in
// between leaves them claimed until the plan ends, and never frees one too early.
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

// releaseDue is when agents are released next, zero if there are none.
func (d *driver) releaseDue() time.Time {
	if len(d.session.released) == 0 {
		return time.Time{}
	}
	return d.nextRelease
}

// releaseEvery is how long agents are collected for one Release, unless there are many.
const releaseEvery = time.Second

// release releases what a session has collected, if the Store is a Claimer. What fails stays
// collected.
func (e *host) release(ctx context.Context, x *session) {
	c := e.with.Claimer
	for c != nil && len(x.released) > 0 {
		chunk := x.released[:min(len(x.released), orderChunk)]
		if err := c.Release(ctx, x.plan, chunk); err != nil {
			e.opt.Logger.WarnContext(ctx, "claims could not be released yet", "plan", x.plan, "agents", len(x.released), "error", err)
			return
		}
		x.released = slices.Delete(x.released, 0, len(chunk))
	}
	x.released = x.released[:0]
}
