package scenarios

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// beforeCommit is a Store that does something before its next commit.
type beforeCommit struct {
	ota.Store
	do func()
}

func (b *beforeCommit) Unwrap() ota.Store { return b.Store }

func (b *beforeCommit) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	if do := b.do; do != nil {
		b.do = nil
		do()
	}
	return b.Store.Commit(ctx, c)
}

// A Resume that races an outcome answers the failures that it has seen, and no more.
func TestResumeAnswersWhatItHasSeen(t *testing.T) {
	for name, c := range map[string]struct {
		decision ota.Decision
		edit     *float64 // the threshold before the plain Resume
	}{
		"accept": {decision: ota.Accept(1)},
		"raise":  {decision: ota.Raise(0.2)},
		"plain":  {edit: ptr(0.2)},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				store := &beforeCommit{Store: s.store}
				other := s.engine(store, nil, "two") // in another process
				s.fleet.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
					if a.Agent != "late-0" {
						return ota.Result{}, false, nil
					}
					return ota.Result{}, true, errors.Join(nap(ctx, time.Hour), ota.Permanent(errors.New("no")))
				}
				policy := ota.Policy{Concurrency: 5, FailureThreshold: ptr(0.0)}
				id := s.start(policy, ota.Shape{Size: 5}, "fail-0", "late-0", "ok-0", "ok-1", "ok-2", "ok-3")
				s.run(s.e)
				s.after(time.Minute)
				s.status(id, ota.StatusPausing)
				if c.edit != nil {
					s.said(other.Edit(s.ctx, id, func(p *ota.Policy) { p.FailureThreshold = c.edit }, ota.Request{}))
				}
				store.do = func() {
					s.after(2 * time.Hour)
					require.Equal(s, 2, s.plan(id).Counts.Failed)
				}
				_, err := other.Resume(s.ctx, id, c.decision, ota.Request{})
				var breach *ota.BreachError
				require.ErrorAs(s, err, &breach)
				require.Equal(s, 2, breach.Failed)
				s.stays(id, ota.StatusPaused)
				require.Empty(s, s.fleet.made("ok-3"))
			})
		})
	}
}

// A rate is reached, and not only never exceeded.
func TestARateIsReached(t *testing.T) {
	for _, rate := range []ota.Rate{
		{Starts: 6},
		{Starts: 7, Per: time.Hour},
		{Starts: 600},
		{Starts: 1100},
		{Starts: 1200},
		{Starts: 100, Per: time.Second},
		{Starts: 300, Per: time.Second},
		{Starts: 1, Per: time.Millisecond},
	} {
		t.Run(fmt.Sprintf("%d in %v", rate.Starts, rate.Per), func(t *testing.T) {
			inScene(t, func(s *scene) {
				s.fleet.latency = 0
				s.e = s.patient("one")
				per := rate.Per
				if per == 0 {
					per = time.Minute
				}
				step := per / time.Duration(rate.Starts)
				const starts = 60
				burst := max(1, int(100*time.Millisecond/step))
				id := s.start(ota.Policy{Concurrency: 1000, Rate: rate}, ota.Shape{Size: 2 * starts}, names("ok", 2*starts)...)
				s.run(s.e)
				began := time.Now()
				s.after(starts * step)
				most := starts + burst + 1
				require.GreaterOrEqual(s, len(s.fleet.made("")), starts, "after %v", time.Since(began))
				require.LessOrEqual(s, len(s.fleet.made("")), most)
				s.after((starts + 1) * step)
				s.status(id, ota.StatusCompleted)
			})
		})
	}
}

// countedReads is a Store that refuses to be read without end.
type countedReads struct {
	ota.Store
	reads atomic.Int64
}

func (c *countedReads) Unwrap() ota.Store { return c.Store }

func (c *countedReads) Rows(ctx context.Context, id string, q ota.RowQuery) (ota.Page[ota.Row], error) {
	if c.reads.Add(1) > 1000 {
		return ota.Page[ota.Row]{}, errors.New("too many reads")
	}
	return c.Store.Rows(ctx, id, q)
}

// A takeover reads all agents that are busy, also where they are more than a page, and ends.
func TestATakeoverOfManyBusyAgents(t *testing.T) {
	const agents = 3000
	inScene(t, func(s *scene) {
		policy := ota.Policy{Concurrency: agents, AttemptTimeout: ota.NoTimeout}
		id := s.start(policy, ota.Shape{Size: agents}, names("hang", agents)...)
		stop := s.run(s.e)
		s.after(time.Minute)
		require.Len(s, s.fleet.made(""), agents)
		require.NoError(s, stop())
		store := &countedReads{Store: s.store}
		s.run(s.engine(store, s.fleet, "two"))
		s.after(time.Minute)
		require.Len(s, s.fleet.made(""), 2*agents, "each is called again")
		require.Less(s, store.reads.Load(), int64(1000))
		require.Equal(s, agents, s.plan(id).InFlight())
	})
}

// The clock of an absence begins with the absence, and not with an error before it. An error ends the
// absence.
func TestAnAbsenceBeginsWhenTheAgentIsAway(t *testing.T) {
	inScene(t, func(s *scene) {
		began := time.Now()
		s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
			switch at := time.Since(began); {
			case at < time.Minute: // the first attempt
				return ota.Result{}, true, errors.New("no")
			case at < 2*time.Hour: // 50 minutes after the second attempt at the latest
				return ota.Result{}, true, ota.Unreachable(errors.New("away"))
			case a.Number > 5 && s.fleet.versions["error"] == "":
				s.fleet.versions["error"] = "told"
				return ota.Result{}, true, errors.New("no")
			case at < 4*time.Hour+30*time.Minute:
				return ota.Result{}, true, ota.Unreachable(errors.New("away again"))
			}
			return ota.Result{}, false, nil
		}
		policy := ota.Policy{UnreachableTimeout: 100 * time.Minute, Retry: ota.RetryPolicy{Max: 2, Backoff: 2 * time.Hour, MaxBackoff: 2 * time.Hour}}
		id := s.start(policy, ota.Shape{}, "ok-0")
		s.run(s.e)
		s.after(10 * time.Hour)
		s.status(id, ota.StatusCompleted)
		require.Zero(s, s.plan(id).Counts.Failed)
	})
}

// The version that a failed agent reported stays with it, for the person who repairs it.
func TestAFailedAgentKeepsTheVersionThatItReported(t *testing.T) {
	for version, tries := range map[string]int{"9": 0, "1": 0} {
		inScene(t, func(s *scene) {
			s.fleet.do = func(context.Context, ota.Attempt) (ota.Result, bool, error) {
				return ota.Result{Version: version}, true, nil
			}
			id := s.start(ota.Policy{FailureThreshold: ptr(1.0), Retry: ota.RetryPolicy{Max: tries}}, ota.Shape{}, "a")
			s.drive(id)
			require.Equal(s, version, s.agent(id, "a").Tasks[0].Version)
			require.Equal(s, ota.TaskFailed.String(), s.agent(id, "a").Status.String())
		})
	}
}

// slowGate is a Gater whose answers take a while, and come in the order of the questions.
type slowGate struct {
	*scripted
	asked   atomic.Int64
	answers []ota.GateVerdict
}

func (g *slowGate) Gate(ctx context.Context, _ ota.Plan, _ ota.Batch) (ota.GateVerdict, error) {
	n := g.asked.Add(1)
	if err := nap(ctx, 20*time.Second); err != nil {
		return ota.GateNone, err
	}
	return g.answers[n-1], nil
}

// An answer of a Gater does not count for a batch that has run again since the question.
func TestAGatesAnswerIsAboutOneRun(t *testing.T) {
	for _, c := range []struct {
		answers []ota.GateVerdict // the first is about the first run of the batch
		want    ota.Status
	}{
		{[]ota.GateVerdict{ota.GatePass, ota.GateFail}, ota.StatusPaused},
		{[]ota.GateVerdict{ota.GateFail, ota.GatePass, ota.GatePass}, ota.StatusCompleted},
	} {
		inScene(t, func(s *scene) {
			g := &slowGate{scripted: s.fleet, answers: c.answers}
			s.use(g)
			id := s.start(ota.Policy{FailureThreshold: ptr(1.0)}, ota.Shape{Size: 2}, "ok-0", "fail-0", "ok-1")
			s.run(s.e)
			s.after(5 * time.Second)
			require.EqualValues(s, 1, g.asked.Load())
			s.said(s.e.Retry(s.ctx, id, nil, ota.Request{}))
			s.after(18 * time.Second) // the first answer is there, the second is not
			require.EqualValues(s, 2, g.asked.Load())
			require.Equal(s, 0, s.plan(id).Batch)
			require.Empty(s, s.fleet.made("ok-1"))
			s.status(id, ota.StatusRunning)
			s.after(time.Hour)
			s.status(id, c.want)
		})
	}
}

// A policy may have 64 windows.
func TestHowManyWindows(t *testing.T) {
	inScene(t, func(s *scene) {
		policy := ota.Policy{Windows: make([]ota.Window, 64)}
		for i := range policy.Windows {
			policy.Windows[i] = ota.Window{Start: time.Duration(i) * time.Minute, Length: time.Minute}
		}
		id := s.start(policy, ota.Shape{}, "ok-0")
		require.Equal(s, ota.StatusCompleted.String(), s.drive(id).Status.String())
		policy.Windows = append(policy.Windows, policy.Windows[0])
		_, err := s.e.Create(s.ctx, ota.Spec{Name: "x", ToVersion: "2", Agents: ota.AgentIDs("a"), Policy: policy})
		require.ErrorContains(s, err, "at most 64")
	})
}
