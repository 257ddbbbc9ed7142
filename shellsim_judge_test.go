package ota_test

import (
	"context"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// rows are all plans, as they are stored.
func (w *shellWorld) rows() []ota.PlanRow {
	page, err := w.court.Store.Plans(context.Background(), ota.PlanQuery{Limit: 1000})
	require.NoError(w, err)
	return page.Items
}

func (w *shellWorld) allEnded() bool {
	for _, row := range w.rows() {
		if st := ota.StatusOf(&row); !st.Ended() && !w.idle(&row) {
			return false
		}
	}
	return true
}

// idle reports whether a plan waits for nothing: the rollback plan of a source that went on without it. A source that was frozen for
// its rollback plan waits for somebody to start that.
func (w *shellWorld) idle(row *ota.PlanRow) bool {
	if row.Source == "" || ota.StatusOf(row) != ota.StatusPending {
		return false
	}
	source, err := w.court.Store.Plan(context.Background(), row.Source)
	require.NoError(w, err)
	ref := source.Control.Rollback
	return ref == nil || ref.ID != row.ID || !ref.Done.IsZero()
}

// inFlight judges that each row that is running has a call that is out, or is on its way to one. Nothing goes wrong any more, and all
// goroutines wait.
func (w *shellWorld) inFlight() {
	synctest.Wait()
	for _, row := range w.rows() {
		page, err := w.court.Store.Agents(context.Background(), row.ID, ota.RowQuery{Status: []ota.TaskStatus{ota.TaskRunning}, Limit: 1000})
		require.NoError(w, err)
		if len(page.Items) == 0 {
			continue
		}
		calls := map[string]bool{}
		for _, p := range w.procs {
			p.e.CallsOnTheirWay(&row, calls)
		}
		for _, a := range page.Items {
			if key, running := ota.RunningCall(&a); running && !calls[key] {
				w.Errorf("agent %s of %s is in flight, and no call for it is out: %s, owner %s", a.Agent.ID, row.ID, key, row.Progress.Owner)
			}
		}
	}
}

// release does what an operator would who wants everything to end.
func (w *shellWorld) release() {
	e := w.operator()
	for _, row := range w.rows() {
		switch ota.StatusOf(&row) {
		case ota.StatusPaused, ota.StatusPausing:
			_, _ = e.Resume(w.ctx, row.ID, ota.Accept(row.Progress.Counts.Bad()), ota.Request{Actor: "ann"})
		case ota.StatusPending:
			if !w.idle(&row) {
				_, _ = e.Start(w.ctx, row.ID, ota.Request{Actor: "ann"})
			}
		}
	}
}

// stuck tells what holds the plans that have not ended.
func (w *shellWorld) stuck() {
	e := w.operator()
	for _, row := range w.rows() {
		if ota.StatusOf(&row).Ended() {
			continue
		}
		for _, p := range w.procs {
			w.Logf("%s: %s", p.store.name, p.e.DescribeDriver(&row))
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
		for _, r := range w.court.Take(row.ID).Agents {
			if r.State.Status == ota.TaskSucceeded && r.State.Task.Why == ota.ReasonSucceeded && !w.fleet.done[row.ID+"/"+r.Agent.ID] && r.Ordinal >= 3 {
				w.Errorf("agent %s of %s has succeeded, and was never upgraded", r.Agent.ID, row.ID)
			}
		}
	}
}

// tell prints the logs of all plans.
func (w *shellWorld) tell() {
	for _, row := range w.rows() {
		for _, r := range w.court.Records(row.ID) {
			w.Logf("%s %s %d %s %+v", row.ID, r.At.Format("04:05.000"), r.Revision, r.Status, r.Events)
		}
	}
}
