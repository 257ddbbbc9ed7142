package scenarios

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// recorded are the events of a plan that say that it waits.
func (s *scene) recorded(id string) (all []ota.Event) {
	for rec, err := range s.e.Watch(s.ctx, id, 0) {
		require.NoError(s, err)
		for _, ev := range rec.Events {
			if ev.Kind == ota.EventWaiting {
				all = append(all, ev)
			}
		}
		if rec.Revision == s.plan(id).Revision {
			return all
		}
	}
	return all
}

// A list says of each plan what holds it, since when, and who can let it go on. The engine records
// that at most once, however long the plan waits.
func TestWhatEachPlanWaitsFor(t *testing.T) {
	night := ota.Window{Start: 10 * time.Hour, Length: time.Hour}
	none := 0.0
	for name, c := range map[string]struct {
		policy  ota.Policy
		shape   ota.Shape
		agents  []string
		verb    func(*scene, string) error
		start   bool
		want    ota.Waiting
		nothing bool
	}{
		"pending":  {agents: []string{"ok-1"}, want: ota.Waiting{Reason: ota.ReasonPending, Needs: ota.NeedsPerson}},
		"at work":  {start: true, agents: []string{"hang-1"}, policy: ota.Policy{AttemptTimeout: ota.NoTimeout}, nothing: true},
		"held":     {start: true, agents: []string{"ok-1", "ok-2"}, shape: ota.Shape{Size: 1}, policy: ota.Policy{Hold: ota.Hold{All: true}}, want: ota.Waiting{Reason: ota.ReasonHeld, Needs: ota.NeedsPerson}},
		"shut":     {start: true, agents: []string{"ok-1"}, policy: ota.Policy{Windows: []ota.Window{night}}, want: ota.Waiting{Reason: ota.ReasonWindow}},
		"soaking":  {start: true, agents: []string{"ok-1"}, policy: ota.Policy{Soak: ota.Soak{Duration: 48 * time.Hour}}, want: ota.Waiting{Reason: ota.ReasonSoaking}},
		"breached": {start: true, agents: []string{"fail-1", "ok-2"}, shape: ota.Shape{Size: 1}, policy: ota.Policy{FailureThreshold: &none}, want: ota.Waiting{Reason: ota.ReasonBreached, Needs: ota.NeedsPerson}},
		"coverage": {start: true, agents: []string{"fail-1", "ok-2"}, policy: ota.Policy{FailureThreshold: ptr(1.0), Complete: ota.Complete{Min: 1}}, want: ota.Waiting{Reason: ota.ReasonCoverage, Needs: ota.NeedsPerson}},
		"paused": {
			start: true, agents: []string{"ok-1", "ok-2"}, shape: ota.Shape{Size: 1}, policy: ota.Policy{Hold: ota.Hold{All: true}},
			want: ota.Waiting{Reason: ota.ReasonPaused, Needs: ota.NeedsPerson},
			verb: func(s *scene, id string) error { _, err := s.e.Pause(s.ctx, id, ota.Request{}); return err },
		},
		"completed": {start: true, agents: []string{"ok-1"}, nothing: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inScene(t, func(s *scene) {
				began := time.Now()
				id := s.create(c.policy, c.shape, c.agents...).ID
				if c.start {
					s.said(s.e.Start(s.ctx, id, ota.Request{}))
				}
				s.run(s.e)
				s.after(time.Minute)
				if c.verb != nil {
					require.NoError(s, c.verb(s, id))
				}
				for _, d := range []time.Duration{2 * time.Second, 8 * time.Hour} {
					s.after(d)
					page, err := s.e.Plans(s.ctx, ota.PlanQuery{})
					require.NoError(s, err)
					got := page.Items[0].Waiting
					require.Equal(s, s.plan(id).Waiting, got)
					if c.nothing {
						require.Nil(s, got)
						continue
					}
					require.NotNil(s, got)
					require.WithinRange(s, got.Since, began, began.Add(2*time.Minute))
					got.Since = time.Time{}
					require.Equal(s, &c.want, got)
				}
				require.LessOrEqual(s, len(s.recorded(id)), 1)
				page, err := s.e.Plans(s.ctx, ota.PlanQuery{Person: true})
				require.NoError(s, err)
				require.Equal(s, c.want.Needs == ota.NeedsPerson, len(page.Items) == 1)
			})
		})
	}
}

// Only time passes: a window shuts while the last agent is away. The list says so within seconds,
// and nothing is written before it opens again.
func TestAWaitThatOnlyTimeBegins(t *testing.T) {
	inScene(t, func(s *scene) {
		began := time.Now()
		id := s.start(ota.Policy{Windows: []ota.Window{{Length: 10 * time.Minute}}, UnreachableTimeout: 20 * time.Hour}, ota.Shape{}, "away-1")
		s.run(s.e)
		s.after(9 * time.Minute)
		require.Equal(s, ota.ReasonBackoff, s.plan(id).Waiting.Reason)
		s.after(11 * time.Minute)
		w := s.plan(id).Waiting
		require.Equal(s, ota.ReasonWindow, w.Reason)
		require.Equal(s, ota.NeedsTime, w.Needs)
		all := s.recorded(id)
		require.Len(s, all, 1)
		require.Equal(s, began.UTC().Add(24*time.Hour), all[0].Until)
		revision := s.plan(id).Revision
		s.after(20 * time.Hour)
		require.Equal(s, revision, s.plan(id).Revision)
	})
}

// A plan whose engine has stopped needs an engine, and a pending or paused one does not.
func TestPlansThatNeedAnEngine(t *testing.T) {
	inScene(t, func(s *scene) {
		pending := s.create(ota.Policy{}, ota.Shape{}, "ok-1").ID
		id := s.start(ota.Policy{Hold: ota.Hold{All: true}}, ota.Shape{Size: 1}, "ok-2", "ok-3")
		require.Equal(s, ota.NeedsEngine, s.plan(id).Waiting.Needs)
		stop := s.run(s.e)
		s.after(time.Minute)
		require.Equal(s, ota.NeedsPerson, s.plan(id).Waiting.Needs)
		require.NoError(s, stop())
		s.after(time.Hour)
		require.Equal(s, ota.ReasonNoEngine, s.plan(id).Waiting.Reason)
		require.Equal(s, ota.NeedsEngine, s.plan(id).Waiting.Needs)
		require.Equal(s, ota.NeedsPerson, s.plan(pending).Waiting.Needs)
	})
}
