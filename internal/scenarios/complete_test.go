package scenarios

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// Knight Capital, 2012: one of eight servers did not get the new version, and the rollout counted as
// done. A plan that must cover all of its agents stays open, and says why.
func TestSevenOfEightIsNotDone(t *testing.T) {
	seven := append(names("ok", 7), "away-7")
	policy := ota.Policy{Complete: ota.Complete{Min: 1}, OnUnreachable: ota.UnreachableSkipped, UnreachableTimeout: time.Minute, FailureThreshold: ptr(1.0)}
	for name, out := range map[string]func(s *scene, id string){
		"nothing": nil,
		"promote": func(s *scene, id string) {
			refused := func(batch int, text string) {
				_, err := s.e.Promote(s.ctx, id, batch, ota.Request{})
				require.ErrorIs(s, err, ota.ErrState)
				require.ErrorContains(s, err, text)
			}
			refused(2, "batch 2 was named, batch 4 is the next")
			refused(5, "batch 5 was named, batch 4 is the next")
			s.said(s.e.Promote(s.ctx, id, 4, ota.Request{Actor: "ann", ID: "r1"}))
			s.said(s.e.Promote(s.ctx, id, 4, ota.Request{Actor: "ann", ID: "r1"}))
		},
		"edit": func(s *scene, id string) {
			s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Complete.Min = 0.875 }, ota.Request{}))
		},
		"within": func(s *scene, id string) {
			s.said(s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Complete.Within = 25 * time.Hour }, ota.Request{}))
			s.after(23 * time.Hour)
			s.status(id, ota.StatusRunning)
			s.after(2 * time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				id := s.start(policy, ota.Shape{Size: 2}, seven...)
				s.run(s.e)
				s.after(time.Hour)
				p := s.plan(id)
				require.Equal(s, ota.StatusRunning, p.Status)
				require.Equal(s, ota.CoveragePartial, p.Coverage)
				require.Equal(s, []ota.Blocker{{
					Reason: ota.ReasonCoverage, Verb: ota.VerbPromote, Text: "7 of 8 agents are at the target, 1 more must be",
				}}, s.explain(id).Blockers)
				require.Contains(s, s.explain(id).Legal, ota.VerbPromote)
				if out == nil {
					s.stays(id, ota.StatusRunning)
					page, err := s.e.Plans(s.ctx, ota.PlanQuery{Coverage: []ota.Coverage{ota.CoveragePartial}, Hold: []ota.Reason{ota.ReasonCoverage}})
					require.NoError(s, err)
					require.Len(s, page.Items, 1)
					return
				}
				out(s, id)
				s.after(time.Minute)
				s.stays(id, ota.StatusCompleted)
				require.Equal(s, ota.CoveragePartial, s.plan(id).Coverage)
			})
		})
	}
}

// Retry of what failed lifts the coverage, and then the plan is completed.
func TestRetryLiftsTheCoverage(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Complete: ota.Complete{Min: 0.9}, FailureThreshold: ptr(1.0)}, ota.Shape{Size: 5}, append(names("ok", 8), "flaky-1", "flaky-2")...)
		s.run(s.e)
		s.after(time.Hour)
		s.status(id, ota.StatusRunning)
		require.Contains(s, s.reasons(id), "coverage")
		s.said(s.e.Retry(s.ctx, id, []string{"flaky-1"}, ota.Request{}))
		s.after(time.Hour)
		s.stays(id, ota.StatusCompleted)
		require.Equal(s, 9, s.plan(id).Counts.Succeeded)
	})
}

// A plan is paused while its last batch soaks. The batch stays open, so an agent that turns unhealthy
// meanwhile still counts when the plan goes on.
func TestCoverageIsLostWhileThePlanIsPaused(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{
			Complete: ota.Complete{Min: 1}, FailureThreshold: ptr(1.0), Soak: ota.Soak{Duration: time.Minute, ToEnd: true},
		}, ota.Shape{Size: 2}, "ok-1", "ok-2")
		s.run(s.e)
		s.after(10 * time.Second)
		s.said(s.e.Pause(s.ctx, id, ota.Request{}))
		s.after(10 * time.Minute)
		s.status(id, ota.StatusPaused)
		require.NoError(s, s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: "ok-1", Reason: "sick"}}))
		s.after(time.Minute)
		s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
		s.after(time.Hour)
		s.stays(id, ota.StatusRunning)
		require.Contains(s, s.explain(id).Sentence(), "1 of 2 agents is at the target, 1 more must be")
	})
}

// A plan in which every agent is blocked covers nothing. Without Complete it ends, and says so.
func TestNothingWasDone(t *testing.T) {
	inScene(t, func(s *scene) {
		s.use(&prechecked{scripted: s.fleet, check: func(ota.Attempt) (ota.Precheck, error) {
			return ota.Precheck{State: ota.PrecheckBlocked, Reason: "in use"}, nil
		}})
		free := s.start(ota.Policy{}, ota.Shape{}, "ok-1", "ok-2")
		s.run(s.e)
		s.after(time.Minute)
		s.stays(free, ota.StatusCompleted)
		require.Equal(s, ota.CoverageNone, s.plan(free).Coverage)
		id := s.start(ota.Policy{Complete: ota.Complete{Min: 0.01}}, ota.Shape{}, "ok-1", "ok-2")
		s.after(time.Hour)
		s.stays(id, ota.StatusRunning)
		require.Contains(s, s.explain(id).Sentence(), "0 of 2 agents are at the target, 1 more must be")
	})
}

// A rule of coverage that makes no sense is refused, when a plan is made and when it is edited.
func TestRefusedCoverage(t *testing.T) {
	for text, rule := range map[string]ota.Complete{
		"complete.min (1.5) is not a fraction; allowed: 0 to 1":                                              {Min: 1.5},
		"complete.min (-0.1) is not a fraction; allowed: 0 to 1":                                             {Min: -0.1},
		"complete.within (1h0m0s) has no effect without complete.min; allowed: 0, or a complete.min above 0": {Within: time.Hour},
		"complete.within (-1s)": {Min: 1, Within: -time.Second},
	} {
		inScene(t, func(s *scene) {
			_, err := s.e.Create(s.ctx, ota.Spec{Name: "x", ToVersion: "2", Agents: ota.AgentIDs("a"), Policy: ota.Policy{Complete: rule}})
			require.ErrorContains(s, err, text)
			p := s.create(ota.Policy{}, ota.Shape{}, "ok-1")
			_, err = s.e.Edit(s.ctx, p.ID, func(p *ota.Policy) { p.Complete = rule }, ota.Request{})
			require.ErrorContains(s, err, text)
		})
	}
}
