package scenarios

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// Follow leaves out what comes too fast, and never the last state, with each length of a pause. It sees an engine that is gone too.
func TestFollowNeverWithholdsTheLastState(t *testing.T) {
	for _, every := range []time.Duration{0, time.Second, 7 * time.Second, 10 * time.Minute} {
		t.Run(every.String(), func(t *testing.T) {
			inScene(t, func(s *scene) {
				stop := s.run(s.e)
				id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{Size: 5}, names("ok", 100)...)
				var mu sync.Mutex
				var got []ota.Plan
				var at []time.Time
				go func() {
					for p, err := range s.engine(s.store, nil, "reader").Follow(s.ctx, id, every) {
						if err != nil {
							return
						}
						mu.Lock()
						got, at = append(got, p), append(at, time.Now())
						mu.Unlock()
					}
				}()
				s.after(time.Minute)
				require.NoError(s, stop())
				s.after(30 * time.Minute)
				mu.Lock()
				require.NotNil(s, got[len(got)-1].Waiting)
				require.Equal(s, ota.ReasonNoEngine, got[len(got)-1].Waiting.Reason)
				mu.Unlock()
				s.run(s.e)
				s.after(30 * time.Minute)
				s.status(id, ota.StatusCompleted)
				mu.Lock()
				defer mu.Unlock()
				require.Equal(s, s.plan(id), got[len(got)-1])
				for i := range at[1:] {
					require.GreaterOrEqual(s, at[i+1].Sub(at[i]), every)
					require.NotEqual(s, got[i], got[i+1])
				}
				if every > 0 {
					require.LessOrEqual(s, len(got), int(time.Hour/every)+2)
				}
			})
		})
	}
}

// FollowAll yields each plan that is selected or was, as it changes, and at most once in a period; a plan that is new; and no other.
func TestFollowAllYieldsWhatIsSelectedOrWas(t *testing.T) {
	inScene(t, func(s *scene) {
		s.run(s.e)
		const every = 20 * time.Second
		first := s.start(ota.Policy{Concurrency: 1}, ota.Shape{}, names("ok", 60)...)
		pending := s.create(ota.Policy{}, ota.Shape{}, "ok-p").ID
		var mu sync.Mutex
		got := map[string][]string{}
		last := map[string]time.Time{}
		go func() {
			for p, err := range s.e.FollowAll(s.ctx, ota.PlanQuery{Status: []ota.Status{ota.StatusRunning}, Limit: 1}, every) {
				if err != nil {
					return
				}
				mu.Lock()
				if n := len(got[p.ID]); n > 0 && time.Since(last[p.ID]) < every {
					s.Errorf("%s came twice within %s", p.ID, time.Since(last[p.ID]))
				}
				got[p.ID], last[p.ID] = append(got[p.ID], fmt.Sprint(p.Status, p.Counts.Succeeded)), time.Now()
				mu.Unlock()
			}
		}()
		s.after(30 * time.Second)
		second := s.start(ota.Policy{Concurrency: 1}, ota.Shape{}, names("ok-b", 30)...)
		s.after(10 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		require.Empty(s, got[pending])
		for id, n := range map[string]int{first: 60, second: 30} {
			require.GreaterOrEqual(s, len(got[id]), 2, got)
			require.Equal(s, fmt.Sprint("completed ", n), got[id][len(got[id])-1])
			require.Equal(s, 1, len(got[id])-slices.Index(got[id], fmt.Sprint("completed ", n)), "once, when it is not selected any more")
		}
		require.InDelta(s, 4, len(got[first]), 1, got[first])
	})
}

// The log can be read in both directions, page by page, whole or the notable records only.
func TestLogInBothDirections(t *testing.T) {
	inScene(t, func(s *scene) {
		s.run(s.e)
		id := s.start(ota.Policy{Concurrency: 1}, ota.Shape{Size: 3}, names("ok", 12)...)
		s.after(time.Minute)
		all := s.log(id)
		read := func(notable, back bool) (out []ota.Record) {
			q := ota.LogQuery{Notable: notable, Limit: 2}
			if back {
				q.Before = 1 << 40
			}
			for {
				page, err := s.e.Log(s.ctx, id, q)
				require.NoError(s, err)
				out = append(out, page.Items...)
				if !page.More {
					return out
				}
				if next := page.Items[len(page.Items)-1].Revision; back {
					q.Before = next
				} else {
					q.After = next
				}
			}
		}
		require.Equal(s, all, read(false, false))
		notable := read(true, false)
		require.Greater(s, len(all), len(notable))
		require.Greater(s, len(notable), 2)
		for _, both := range [][2][]ota.Record{{all, read(false, true)}, {notable, read(true, true)}} {
			slices.Reverse(both[1])
			require.Equal(s, both[0], both[1])
		}
		_, err := s.e.Log(s.ctx, "no-plan", ota.LogQuery{})
		require.ErrorIs(s, err, ota.ErrNotFound)
		page, err := s.e.Log(s.ctx, "", ota.LogQuery{Limit: 1})
		require.NoError(s, err)
		require.Equal(s, notable[len(notable)-1], page.Items[0], "over all plans, the newest first")
	})
}

// Agent is one row of Agents.
func TestAgentIsOneOfAgents(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.drive(s.start(ota.Policy{FailureThreshold: ptr(1.0)}, ota.Shape{}, "ok-1", "fail-2", "ok-3")).ID
		for name, want := range s.agents(id) {
			got, err := s.e.Agent(s.ctx, id, name)
			require.NoError(s, err)
			require.Equal(s, want, got)
		}
		for _, no := range [][2]string{{id, "ok-2"}, {id, ""}, {"no-plan", "ok-1"}} {
			_, err := s.e.Agent(s.ctx, no[0], no[1])
			require.ErrorIs(s, err, ota.ErrNotFound, no)
		}
	})
}
