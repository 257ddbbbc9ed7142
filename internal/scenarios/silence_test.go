package scenarios

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// hush is a fleet whose agents answer questions about their health, or do not.
type hush struct {
	mu     sync.Mutex
	silent func(agent string, asked int) bool // asked: how often before
	sick   func(agent string) bool
	asked  map[string]int
}

func (h *hush) use(s *scene) {
	h.asked = map[string]int{}
	s.fleet.health = func(a ota.Attempt) (ota.Health, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.asked[a.Agent]++
		if h.silent != nil && h.silent(a.Agent, h.asked[a.Agent]-1) {
			return ota.Health{}, errors.New("no answer")
		}
		return ota.Health{Healthy: h.sick == nil || !h.sick(a.Agent), Reason: "sick"}, nil
	}
	s.use(probed{s.fleet})
}

func (h *hush) questions(agent string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked[agent]
}

func everyAgent(string, int) bool { return true }

// Agents that succeed and then go silent stop a plan in its first batch, whatever its policy. Before,
// every one of these policies let all agents go silent, and the plan completed.
func TestSilenceIsAFailure(t *testing.T) {
	toEnd := ota.Soak{Duration: 30 * time.Minute, ToEnd: true}
	for name, c := range map[string]struct {
		policy ota.Policy
		shape  ota.Shape
		most   int
	}{
		"zero":    {ota.Policy{}, ota.Shape{Size: 2}, 2},
		"soak":    {ota.Policy{Soak: ota.Soak{Duration: time.Second, Stable: time.Second}}, ota.Shape{Size: 2}, 2},
		"careful": {ota.Policy{Reserve: true, Soak: toEnd}, ota.Shape{Canary: 1, Growth: ota.Growth{First: 2}}, 1},
		"push":    {ota.Policy{Concurrency: 1000, FailureThreshold: ptr(0.0), Soak: toEnd}, ota.Shape{Canary: 3, Growth: ota.Growth{First: 10, Factor: 10}}, 3},
		"grace":   {ota.Policy{Soak: ota.Soak{Grace: time.Hour}}, ota.Shape{Size: 2}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				(&hush{silent: everyAgent}).use(s)
				id := s.start(c.policy, c.shape, names("ok", 40)...)
				stop := s.run(s.e)
				s.after(3 * time.Hour)
				require.NoError(s, stop())
				p := s.plan(id)
				require.Equal(s, ota.StatusPaused, p.Status)
				require.Equal(s, c.most, p.Changed)
				require.Equal(s, c.most, p.Counts.Failed)
				a := s.agent(id, "ok-000").Tasks[0]
				require.Equal(s, ota.ReasonSilent, a.Reason)
				if c.policy.Soak.Grace == 0 {
					require.Equal(s, "no answer to 3 questions in a row", a.Error)
				}
				s.stays(id, ota.StatusPaused)
			})
		})
	}
}

// A Prober is asked about every agent at least once, also with a zero Policy.
func TestEveryAgentIsAskedOnce(t *testing.T) {
	inScene(t, func(s *scene) {
		h := &hush{}
		h.use(s)
		id := s.start(ota.Policy{Soak: ota.Soak{Compare: ota.Off}}, ota.Shape{Size: 3}, names("ok", 8)...)
		s.drive(id)
		s.status(id, ota.StatusCompleted)
		for _, a := range names("ok", 8) {
			require.Equal(s, 1, h.questions(a), a)
		}
		h.sick = func(agent string) bool { return agent == "new-001" }
		id = s.start(ota.Policy{FailureThreshold: ptr(0.0)}, ota.Shape{Size: 3}, names("new", 8)...)
		p := s.drive(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Equal(s, 3, p.Changed)
		require.Equal(s, ota.ReasonUnhealthy, s.agent(id, "new-001").Tasks[0].Reason)
	})
}

// An outage that is shorter than (Misses - 1) times Interval fails nothing. One that is longer than
// Misses times Interval fails every agent of the batch.
func TestAnOutageOfTheQuestions(t *testing.T) {
	for _, c := range []struct {
		outage time.Duration
		misses int
		failed int
	}{{19 * time.Second, 0, 0}, {31 * time.Second, 0, 4}, {31 * time.Second, 5, 0}, {10 * time.Minute, ota.Off, 0}} {
		inScene(t, func(s *scene) {
			var from time.Time
			h := &hush{silent: func(string, int) bool {
				return !from.IsZero() && time.Since(from) < c.outage
			}}
			h.use(s)
			id := s.start(ota.Policy{FailureThreshold: ptr(1.0), Soak: ota.Soak{Duration: 15 * time.Minute, Misses: c.misses}}, ota.Shape{}, names("ok", 4)...)
			s.run(s.e)
			s.after(2 * time.Minute)
			h.mu.Lock()
			from = time.Now()
			h.mu.Unlock()
			s.after(time.Hour)
			p := s.plan(id)
			require.Equal(s, ota.StatusCompleted, p.Status)
			require.Equal(s, c.failed, p.Counts.Failed, "%+v", c)
		})
	}
}

// Time in which no engine asks is no silence, and a new owner counts from the beginning.
func TestSilenceIsCountedInQuestions(t *testing.T) {
	inScene(t, func(s *scene) {
		h := &hush{silent: func(_ string, asked int) bool { return asked < 6 }}
		h.use(s)
		id := s.start(ota.Policy{}, ota.Shape{}, "ok-1")
		for range 3 { // each asks twice
			stop := s.run(s.e)
			s.after(15 * time.Second)
			require.NoError(s, stop())
			s.after(24 * time.Hour)
			s.e = s.engine(s.store, probed{s.fleet}, "one")
		}
		require.Equal(s, 6, h.questions("ok-1"))
		require.Equal(s, ota.BatchSoaking, s.batch(id, 0).Status)
		s.run(s.e)
		s.after(time.Second)
		s.status(id, ota.StatusCompleted)
	})
}

// Without Misses a batch waits for its silent agents. Explain names them, and Promote goes on without
// them.
func TestSilentAgentsAreWaitedFor(t *testing.T) {
	inScene(t, func(s *scene) {
		h := &hush{silent: func(agent string, _ int) bool { return agent < "ok-005" }}
		h.use(s)
		id := s.start(ota.Policy{Soak: ota.Soak{Misses: ota.Off}}, ota.Shape{Size: 7}, names("ok", 9)...)
		s.run(s.e)
		s.after(24 * time.Hour)
		require.Equal(s, "A question has not been answered yet: no healthy answer since the success of 5 agents of batch 0: ok-000, ok-001, ok-002, …; cleared by promote",
			s.explain(id).Sentence())
		require.Equal(s, ota.VerbPromote, s.explain(id).Blockers[0].Verb)
		require.Zero(s, s.plan(id).Batch)
		s.said(s.e.Promote(s.ctx, id, 1, ota.Request{}))
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
		require.Equal(s, 9, s.plan(id).Counts.Succeeded)
	})
}

// Sample bounds the questions to agents of passed batches. A sick or silent one is found when its turn
// has come, at the latest.
func TestPassedBatchesAreSampled(t *testing.T) {
	for name, silent := range map[string]bool{"sick": false, "silent": true} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				broken := ""
				h := &hush{}
				h.sick = func(agent string) bool { return !silent && agent == broken }
				h.silent = func(agent string, _ int) bool { return silent && agent == broken }
				h.use(s)
				soak := ota.Soak{Duration: time.Hour, ToEnd: true, Sample: 7}
				id := s.start(ota.Policy{Concurrency: 100, FailureThreshold: ptr(0.0), Soak: soak}, ota.Shape{Size: 50}, names("ok", 150)...)
				s.run(s.e)
				s.after(2*time.Hour + 10*time.Minute)
				total := 0
				for _, a := range names("ok", 100) {
					total += h.questions(a)
				}
				rounds := int(time.Hour / ota.DefaultSoakInterval)
				require.InDelta(s, 2*50*rounds+(rounds+60)*7, total, 100, "each batch by itself, and then seven a round")
				h.mu.Lock()
				broken = "ok-033"
				h.mu.Unlock()
				s.after(time.Duration(100/7+1+3) * ota.DefaultSoakInterval)
				p := s.plan(id)
				require.Equal(s, ota.StatusPaused, p.Status)
				require.Equal(s, 0, p.Breaches[0].Batch)
			})
		})
	}
}

// While the next batch is held, the batch before is watched. Nothing starts on an answer that is older
// than a round.
func TestAHeldPlanIsWatched(t *testing.T) {
	inScene(t, func(s *scene) {
		sick := false
		h := &hush{sick: func(agent string) bool { return sick && agent == "ok-000" }}
		h.use(s)
		policy := ota.Policy{FailureThreshold: ptr(0.0), Hold: ota.Hold{All: true}, Soak: ota.Soak{Duration: time.Minute}}
		id := s.start(policy, ota.Shape{Canary: 1, Size: 5}, names("ok", 6)...)
		s.run(s.e)
		s.after(11 * time.Hour)
		require.Equal(s, "The next batch is held until it is promoted: batch 1; cleared by promote", s.explain(id).Sentence())
		h.mu.Lock()
		sick = true
		h.mu.Unlock()
		s.after(11 * time.Second)
		s.status(id, ota.StatusPaused)
		require.Equal(s, "Failure threshold exceeded: 1 of the 1 agent of batch 0 failed, none is tolerated", s.plan(id).Breaches[0].String())
		require.Equal(s, 1, s.plan(id).Changed)
	})
}

// The engine was away while a batch was held, and the canary fell sick. Promote and Resume start
// nothing before it was asked.
func TestNothingStartsOnAnOldAnswer(t *testing.T) {
	for _, verb := range []string{"promote", "resume"} {
		t.Run(verb, func(t *testing.T) {
			inScene(t, func(s *scene) {
				sick := false
				h := &hush{sick: func(agent string) bool { return sick && strings.HasSuffix(agent, "000") }}
				h.use(s)
				policy := ota.Policy{FailureThreshold: ptr(0.0)}
				if verb == "promote" {
					policy.Hold.All = true
				}
				id := s.start(policy, ota.Shape{Canary: 1, Size: 5}, names("ok", 6)...)
				stop := s.run(s.e)
				if verb == "resume" {
					s.after(500 * time.Millisecond)
					s.said(s.e.Pause(s.ctx, id, ota.Request{}))
				}
				s.after(time.Minute)
				require.NoError(s, stop())
				require.Equal(s, 1, s.plan(id).Changed)
				sick = true
				s.after(time.Hour)
				if verb == "promote" {
					s.said(s.e.Promote(s.ctx, id, 1, ota.Request{}))
				} else {
					s.said(s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{}))
				}
				s.e = s.engine(s.store, probed{s.fleet}, "one")
				s.run(s.e)
				s.after(time.Minute)
				p := s.plan(id)
				require.Equal(s, ota.StatusPaused, p.Status)
				require.Equal(s, 1, p.Changed)
				require.Equal(s, 1, p.Counts.Failed)
			})
		})
	}
}

// Only questions in a row count: an agent that answers every third question does not fail.
func TestMissesAreInARow(t *testing.T) {
	inScene(t, func(s *scene) {
		h := &hush{silent: func(_ string, asked int) bool { return asked%3 != 2 }}
		h.use(s)
		id := s.start(ota.Policy{Soak: ota.Soak{Duration: time.Hour}}, ota.Shape{}, "ok-1", "ok-2")
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
		require.Greater(s, h.questions("ok-1"), 300)
	})
}

// With ToEnd a silent agent of a passed batch is found, also if no later batch soaks for as long as
// Misses rounds.
func TestPassedSilenceIsCountedOn(t *testing.T) {
	inScene(t, func(s *scene) {
		silent := false
		h := &hush{silent: func(agent string, _ int) bool { return silent && agent == "ok-000" }}
		h.use(s)
		policy := ota.Policy{FailureThreshold: ptr(0.0), Soak: ota.Soak{Duration: 15 * time.Second, ToEnd: true}}
		id := s.start(policy, ota.Shape{Size: 2}, names("ok", 20)...)
		s.run(s.e)
		s.after(20 * time.Second)
		h.mu.Lock()
		silent = true
		h.mu.Unlock()
		s.after(time.Minute)
		p := s.plan(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Equal(s, ota.ReasonSilent, s.agent(id, "ok-000").Tasks[0].Reason)
	})
}
