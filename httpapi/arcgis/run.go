package arcgis

import (
	"context"
	"errors"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Run carries out jobs until ctx ends, and returns nil then: it switches read-only mode on, makes
// and starts the rollback plans one after the other, and switches read-only mode off. The Engine's
// Run, here or in another process on the same Store, does the work itself. A job that was begun
// before, also by a process that died, goes on where it stood. Run it in one process at a time;
// that two run does no harm unless one of them is stalled while it switches.
//
// When Run ends in the middle of a job the organization stays in read-only mode, as the work goes
// on; the next Run switches it on once more, in case that the switch forgot, and off when the job
// is done.
func (h *Handler) Run(ctx context.Context) error {
	r := &runner{h: h}
	for ctx.Err() == nil {
		idle, err := r.step(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			h.base.Logger.WarnContext(ctx, "job is stuck", "error", err)
			r.failures++
			r.sleep(ctx, min(h.opt.Poll<<min(r.failures-1, 5), max(30*time.Second, h.opt.Poll)))
		case idle:
			r.failures = 0
			r.sleep(ctx, h.opt.Poll)
		default:
			r.failures = 0
		}
	}
	return nil
}

// runner is one Run.
type runner struct {
	h        *Handler
	on       string // the job for which this Run has switched read-only mode on
	failures int    // in a row
}

func (r *runner) sleep(ctx context.Context, d time.Duration) {
	t := r.h.base.Clock.Timer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-r.h.wake:
	case <-t.C:
	}
}

// step does the next thing that is to be done, one at a time: what is done is read from the Store
// again before the next thing is chosen. It reports idle when there is nothing to do for now.
func (r *runner) step(ctx context.Context) (idle bool, err error) {
	if err := r.h.adopt(ctx); err != nil {
		return false, err
	}
	j, err := r.h.newest(ctx)
	if err != nil {
		return false, err
	}
	if j == nil || j.done() {
		if r.on == "" {
			return true, nil
		}
		// Another Run has finished the job while this one was switching.
		if err := r.h.readOnly(ctx, false); err != nil {
			return false, err
		}
		r.on = ""
		return false, nil
	}
	err = r.advance(ctx, j)
	switch {
	case errors.Is(err, ota.ErrConflict): // somebody else has decided something: look again
		return false, nil
	case errors.Is(err, errWait):
		return true, nil
	}
	return false, err
}

// errWait says that the job waits for something that nobody tells of.
var errWait = errors.New("arcgis: the job waits")

// advance does the next thing of a job that is not done.
func (r *runner) advance(ctx context.Context, j *job) error {
	if j.failure != nil {
		return r.leave(ctx, j)
	}
	k, p := j.current()
	if p != nil && p.Status == ota.StatusCanceled {
		return r.fail(ctx, j, codeCanceled, "Rollback plan "+p.ID+" was canceled.")
	}
	switch {
	case r.on != j.head.ID:
		return r.enter(ctx, j)
	case j.checked[1] == 0:
		return r.diagnose(ctx, j)
	}
	if k > 0 {
		if err := r.settled(ctx, j, k-1); err != nil {
			return err
		}
	}
	switch {
	case k == len(j.steps):
		return r.leave(ctx, j)
	case p == nil:
		return r.next(ctx, j, k)
	case p.Status == ota.StatusPending:
		return r.start(ctx, j, p)
	case p.Status == ota.StatusPaused && len(p.Breaches) > 0:
		return r.breached(ctx, j, p)
	case p.Status == ota.StatusPaused: // by an operator, who will resume it
		return errWait
	}
	_, err := r.h.engine.Wait(ctx, p.ID)
	return err
}

// settled waits until the source of a completed step has rolled back: it leaves the chain then.
func (r *runner) settled(ctx context.Context, j *job, k int) error {
	p, err := r.h.engine.Plan(ctx, j.sources[k])
	if err != nil || p.Status == ota.StatusRolledBack {
		return err
	}
	if p, err = r.h.engine.Wait(ctx, p.ID); err == nil && p.Status != ota.StatusRolledBack {
		return errWait
	}
	return err
}
