package scenarios

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

func TestPlansByStatusAndLabel(t *testing.T) {
	inScene(t, func(s *scene) {
		create := func(name string, labels map[string]string) string {
			p, err := s.e.Create(s.ctx, ota.Spec{Name: name, ToVersion: "2", Agents: ota.AgentIDs(name), Labels: labels})
			require.NoError(s, err)
			time.Sleep(time.Second)
			return p.ID
		}
		a, b, c := create("a", map[string]string{"app": "x"}), create("b", map[string]string{"app": "x", "env": "p"}), create("c", nil)
		s.said(s.e.Start(s.ctx, b, ota.Request{}))
		list := func(q ota.PlanQuery) (ids []string) {
			page, err := s.e.Plans(s.ctx, q)
			require.NoError(s, err)
			for _, p := range page.Items {
				ids = append(ids, p.ID)
			}
			return ids
		}
		require.Equal(s, []string{c, b, a}, list(ota.PlanQuery{}), "newest first")
		require.Equal(s, []string{b, a}, list(ota.PlanQuery{Labels: map[string]string{"app": "x"}}))
		require.Equal(s, []string{b}, list(ota.PlanQuery{Status: []ota.Status{ota.StatusRunning}}))
		require.Equal(s, []string{b}, list(ota.PlanQuery{Offset: 1, Limit: 1}))
	})
}

func TestCanceledPlanShowsWhatWasNeverStarted(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{Size: 2}, "ok-1", "ok-2", "ok-3")
		s.run(s.e)
		s.after(500 * time.Millisecond)
		s.said(s.e.Cancel(s.ctx, id, false, ota.Request{}))
		s.after(time.Second)
		require.Equal(s, ota.Counts{Succeeded: 1, Canceled: 2}, s.plan(id).Counts)
		require.Equal(s, ota.BatchCanceled, s.batch(id, 0).Status)
		require.Equal(s, ota.BatchCanceled, s.batch(id, 1).Status)
		page, err := s.e.Agents(s.ctx, id, ota.RowQuery{Status: []ota.TaskStatus{ota.TaskCanceled}})
		require.NoError(s, err)
		require.Len(s, page.Items, 2)
		require.Equal(s, ota.TaskCanceled, page.Items[0].Tasks[0].Status)
		page, err = s.e.Agents(s.ctx, id, ota.RowQuery{Status: []ota.TaskStatus{ota.TaskPending}})
		require.NoError(s, err)
		require.Empty(s, page.Items)
	})
}

func TestWatchEnds(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "ok-1")
		ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
		defer cancel()
		n := 0
		for rec, err := range s.e.Watch(ctx, id, 0) {
			if err != nil {
				require.ErrorIs(s, err, context.DeadlineExceeded)
				require.Zero(s, rec)
				break
			}
			n++
		}
		require.Equal(s, 2, n)
		for _, err := range s.e.Watch(s.ctx, "nobody", 0) {
			require.ErrorIs(s, err, ota.ErrNotFound)
		}
	})
}

// Another engine's changes reach a Watch and a Wait within Poll.
func TestWatchThroughAnotherEngine(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "ok-1")
		two := s.engine(s.store, nil, "two")
		s.run(s.e)
		begun := time.Now()
		p, err := two.Wait(s.ctx, id)
		require.NoError(s, err)
		require.Equal(s, ota.StatusCompleted, p.Status)
		require.LessOrEqual(s, time.Since(begun), 2*time.Second)
	})
}

func TestExplainNobodyDrives(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "ok-1")
		require.Equal(s, "No engine drives the plan", s.explain(id).Sentence())
		stop := s.run(s.e)
		s.after(500 * time.Millisecond)
		require.Equal(s, []string{"in_flight"}, s.reasons(id))
		require.Equal(s, "Calls that were made have not returned: 1 agent", s.explain(id).Sentence())
		_ = stop()
		s.stays(id, ota.StatusCompleted)
		require.Equal(s, "The plan has ended: completed", s.explain(id).Sentence())
	})
}

func TestNewerSchemaIsLeftAlone(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{}, ota.Shape{}, "ok-1")
		row, err := s.store.Store.Plan(s.ctx, id)
		require.NoError(s, err)
		row.Control.Schema = ota.Schema + 1
		log, err := s.store.Store.Log(s.ctx, id, 0, 1)
		require.NoError(s, err)
		_, err = s.store.Store.Commit(s.ctx, ota.Commit{
			Plan: id, Control: row.ControlNumber, NewControl: &row.Control, Status: ota.StatusRunning,
			Log: log[0].Data,
		})
		require.NoError(s, err)
		s.run(s.e)
		s.after(time.Minute)
		require.Empty(s, s.fleet.made(""))
		require.Equal(s, "The plan was written by a newer version of the library", s.explain(id).Sentence())
		_, err = s.e.Pause(s.ctx, id, ota.Request{})
		require.ErrorContains(s, err, "written by a newer version of this library")
		_, err = s.e.RunPlan(s.ctx, id)
		require.ErrorContains(s, err, "written by a newer version of this library")
	})
}
