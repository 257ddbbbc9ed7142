package ota

import (
	"context"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// rows are all plans, as they are stored.
func (w *shellWorld) rows() []PlanRow {
	page, err := w.court.MemStore.Plans(context.Background(), PlanQuery{Limit: 1000})
	require.NoError(w, err)
	return page.Items
}

func (w *shellWorld) allEnded() bool {
	for _, row := range w.rows() {
		if st := statusOf(&row.Control, &row.Progress); !st.Ended() && !w.idle(&row) {
			return false
		}
	}
	return true
}

// idle reports whether a plan waits for nothing: the rollback plan of a source that went on without it. A source that was frozen for
// its rollback plan waits for somebody to start that.
func (w *shellWorld) idle(row *PlanRow) bool {
	if row.Source == "" || statusOf(&row.Control, &row.Progress) != StatusPending {
		return false
	}
	source, err := w.court.MemStore.Plan(context.Background(), row.Source)
	require.NoError(w, err)
	ref := source.Control.Rollback
	return ref == nil || ref.ID != row.ID || !ref.Done.IsZero()
}

// inFlight judges that each row that is running has a call that is out, or is on its way to one. Nothing goes wrong any more, and all
// goroutines wait.
func (w *shellWorld) inFlight() {
	synctest.Wait()
	for _, row := range w.rows() {
		page, err := w.court.MemStore.Agents(context.Background(), row.ID, RowQuery{Status: []TaskStatus{TaskRunning}, Limit: 1000})
		require.NoError(w, err)
		if len(page.Items) == 0 {
			continue
		}
		calls := map[callKey]bool{}
		for _, p := range w.procs {
			if d := p.e.driver(row.ID); d != nil && p.e.instance == row.Progress.Instance {
				d.onTheirWay(calls)
			}
		}
		for _, a := range page.Items {
			i := a.State.active()
			if t := a.State.task(i); t.Status == TaskRunning && !calls[callKey{a.Ordinal, i, t.Number}] {
				w.Errorf("agent %s of %s is in flight, and no call for it is out: attempt %d, owner %s", a.Agent.ID, row.ID, t.Number, row.Progress.Owner)
			}
		}
	}
}

// onTheirWay adds every call of a driver, from the commit of its start to that of its outcome.
func (d *driver) onTheirWay(calls map[callKey]bool) {
	lost := d.pool.calls(calls)
	d.pool.mu.Lock()
	d.pool.lost = d.pool.lost || lost
	d.pool.mu.Unlock()
	raise := d.session.raise
	out := d.session.callsInFlight
	d.session.callsInFlight = nil
	for key := range d.session.inFlight() {
		calls[key] = true
	}
	d.session.raise, d.session.callsInFlight = raise, out
}

// release does what an operator would who wants everything to end.
func (w *shellWorld) release() {
	e := w.operator()
	for _, row := range w.rows() {
		switch statusOf(&row.Control, &row.Progress) {
		case StatusPaused, StatusPausing:
			_, _ = e.Resume(w.ctx, row.ID, Accept(row.Progress.Counts.Bad()), Request{Actor: "ann"})
		case StatusPending:
			if !w.idle(&row) {
				_, _ = e.Start(w.ctx, row.ID, Request{Actor: "ann"})
			}
		}
	}
}

// stuck tells what holds the plans that have not ended.
func (w *shellWorld) stuck() {
	e := w.operator()
	for _, row := range w.rows() {
		if statusOf(&row.Control, &row.Progress).Ended() {
			continue
		}
		for _, p := range w.procs {
			if d := p.e.driver(row.ID); d != nil {
				w.Logf("%s drives %s: fail %d, tending %v, out %d, asked %v, state %v", p.store.name, row.ID, d.storeErrors, d.advancing, d.pool.inFlight(), d.asked, d.session.st != nil)
			} else {
				w.Logf("%s (life %s) does not drive %s of %s (life %s)", p.store.name, p.e.instance, row.ID, row.Progress.Owner, row.Progress.Instance)
			}
		}
		x, err := e.Explain(w.ctx, row.ID)
		w.Errorf("plan %s does not end: %s %+v, %+v %v", row.ID, row.Status, row.Progress.Counts, x, err)
	}
}

// effects judges that no agent counts as upgraded without having been upgraded.
func (w *shellWorld) effects() {
	for _, row := range w.rows() {
		if row.Source != "" {
			continue
		}
		for _, r := range w.court.take(row.ID).agents {
			if r.State.Status == TaskSucceeded && r.State.Task.Why == ReasonSucceeded && !w.fleet.done[row.ID+"/"+r.Agent.ID] && r.Ordinal >= 3 {
				w.Errorf("agent %s of %s has succeeded, and was never upgraded", r.Agent.ID, row.ID)
			}
		}
	}
}

// tell prints the logs of all plans.
func (w *shellWorld) tell() {
	for _, row := range w.rows() {
		for _, r := range w.court.records(row.ID) {
			w.Logf("%s %s %d %s %+v", row.ID, r.At.Format("04:05.000"), r.Revision, r.Status, r.Events)
		}
	}
}
