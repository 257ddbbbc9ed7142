package scenarios

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

// The promises of the library, one test each. The court judges every commit of every scene; these tests set the scenes.

func TestPromise1ConcurrencyAndOrder(t *testing.T) {
	for seed := range uint64(15) {
		inScene(t, func(s *scene) {
			r := rand.New(rand.NewPCG(seed, 1))
			c := 1 + r.IntN(8)
			s.fleet.do = randomly(r, 0.2)
			id := s.start(ota.Policy{
				Concurrency: c, FailureThreshold: ptr(1.0), Retry: ota.RetryPolicy{Max: 2, Backoff: time.Second},
				Soak: ota.Soak{Duration: time.Minute},
			}, ota.Shape{Size: 1 + r.IntN(20)}, names("ok", 60)...)
			p := s.drive(id)
			require.Equal(s, ota.StatusCompleted, p.Status)
			require.LessOrEqual(s, s.fleet.most, c)
			require.Equal(s, min(c, s.plan(id).Agents), max(s.fleet.most, c), "all slots are used")
			s.requireObserved(id, time.Minute)
			s.stays(id, ota.StatusCompleted)
		})
	}
}

// requireObserved checks from the log alone that between the last outcome of a batch and the first start of the next one lies
// the time that it is observed.
func (s *scene) requireObserved(id string, wait time.Duration) {
	s.Helper()
	last := map[int]time.Time{}
	for _, r := range s.log(id) {
		for _, e := range r.Events {
			switch e.Kind {
			case ota.EventTaskSucceeded, ota.EventTaskFailed:
				last[e.Batch] = r.At
			case ota.EventTaskStarted:
				if e.Batch > 0 {
					require.GreaterOrEqual(s, r.At.Sub(last[e.Batch-1]), wait, "batch %d began too early", e.Batch)
				}
			}
		}
	}
}

// randomly answers after a random time, with an error at the given rate.
func randomly(r *rand.Rand, fails float64) func(context.Context, ota.Attempt) (ota.Result, bool, error) {
	type draw struct {
		wait time.Duration
		fail bool
	}
	draws := make([]draw, 4096)
	for i := range draws {
		draws[i] = draw{time.Duration(1 + r.Int64N(10_000_000_000)), r.Float64() < fails}
	}
	return func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
		d := draws[jitterOf("", a.Agent, a.Task, uint32(a.Number))%uint64(len(draws))]
		if err := nap(ctx, d.wait); err != nil {
			return ota.Result{}, true, err
		}
		if d.fail && !a.IsRollback {
			return ota.Result{}, true, errors.New("no luck")
		}
		return ota.Result{Version: a.ToVersion}, true, nil
	}
}

func TestPromise2NoStartAfterABreach(t *testing.T) {
	for seed := range uint64(30) {
		inScene(t, func(s *scene) {
			r := rand.New(rand.NewPCG(seed, 2))
			c := 1 + r.IntN(10)
			policy := ota.Policy{Concurrency: c, FailureThreshold: ptr(0.1), Reserve: seed%2 == 0}
			if seed%3 == 0 {
				policy.Retry = ota.RetryPolicy{Max: 2, Backoff: time.Second}
				s.fleet.do = randomly(r, 0.7)
			} else {
				s.fleet.do = randomly(r, 0.4)
			}
			id := s.start(policy, ota.Shape{Size: 40}, names("ok", 80)...)
			p := s.drive(id)
			require.Equal(s, ota.StatusPaused, p.Status)
			require.Len(s, p.Breaches, 1)
			s.requireNoStartAfterBreach(id)
			m := ota.Tolerated(0.1, 40)
			most := m + c
			if policy.Reserve {
				most = m + 1
			}
			require.LessOrEqual(s, p.Counts.Bad(), most)
			require.Greater(s, p.Counts.Bad(), m)
			s.stays(id, ota.StatusPaused)
		})
	}
}

func (s *scene) requireNoStartAfterBreach(id string) {
	s.Helper()
	struck := false
	for _, r := range s.log(id) {
		for _, e := range r.Events {
			switch e.Kind {
			case ota.EventBreach:
				struck = true
			case ota.EventTaskStarted, ota.EventTaskRepeated:
				require.False(s, struck, "%s started in record %d, after the breach", e.Agent, r.Revision)
			case ota.EventTaskFailed:
				require.NotZero(s, s.agent(id, e.Agent).Tasks[0].Attempts, "a failure that no attempt had")
			}
		}
	}
	require.True(s, struck)
}

func TestPromise2ReserveWithNothingToleratedEnds(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{FailureThreshold: ptr(0.0), Reserve: true, Concurrency: 8, Retry: ota.RetryPolicy{Max: 1}},
			ota.Shape{Size: 20}, append(names("ok", 20), names("flaky", 20)...)...)
		p := s.drive(id)
		require.Equal(s, ota.StatusCompleted, p.Status)
		require.Equal(s, 1, s.fleet.most, "with nothing tolerated, agents go one at a time")
	})
}

func TestPromise3CountersAndEvents(t *testing.T) {
	for seed := range uint64(40) {
		inScene(t, func(s *scene) {
			r := rand.New(rand.NewPCG(seed, 3))
			s.fleet.do = randomly(r, 0.15)
			id := s.start(ota.Policy{
				Concurrency: 4, Retry: ota.RetryPolicy{Max: 1, Backoff: time.Second}, Soak: ota.Soak{Duration: 10 * time.Second},
			}, ota.Shape{Size: 8}, names("ok", 32)...)
			s.run(s.e)
			s.sayRandomly(r, id, 60)
		})
	}
}

// sayRandomly says verbs at random moments; what they answer is not looked at, what they commit is.
func (s *scene) sayRandomly(r *rand.Rand, id string, n int) {
	all := names("ok", 32)
	for range n {
		time.Sleep(time.Duration(r.Int64N(5_000_000_000)))
		by, some := ota.Request{Actor: "ann"}, []string{all[r.IntN(32)], all[r.IntN(32)]}
		switch r.IntN(12) {
		case 0:
			_, _ = s.e.Pause(s.ctx, id, by)
		case 1, 2, 3:
			_, _ = s.e.Resume(s.ctx, id, ota.Decision{}, by)
		case 4, 5:
			_, _ = s.e.Resume(s.ctx, id, ota.Accept(s.plan(id).Counts.Bad()), by)
		case 6:
			_, _ = s.e.Resume(s.ctx, id, ota.RetryFailed(), by)
		case 7:
			_, _ = s.e.Skip(s.ctx, id, some, by)
		case 8:
			_, _ = s.e.Retry(s.ctx, id, nil, by)
		case 9:
			_, _ = s.e.Edit(s.ctx, id, func(p *ota.Policy) { p.Concurrency = 1 + r.IntN(6) }, by)
		case 10:
			_ = s.e.ReportHealth(s.ctx, id, []ota.HealthReport{{Agent: some[0], At: time.Now().Add(-time.Duration(r.IntN(20)) * time.Second)}})
		case 11:
			if r.IntN(10) == 0 {
				_, _ = s.e.Rollback(s.ctx, id, ota.RollbackSpec{Interrupt: r.IntN(2) == 0}, by)
			} else if r.IntN(10) == 0 {
				_, _ = s.e.Cancel(s.ctx, id, r.IntN(2) == 0, by)
			}
		}
	}
}

func TestPromise4KillAtAnyWrite(t *testing.T) {
	agents := append(names("ok", 5), "flaky-1", "fail-1", "perm-1")
	policy := ota.Policy{Concurrency: 2, FailureThreshold: ptr(1.0), Retry: ota.RetryPolicy{Max: 1, Backoff: time.Second}, Soak: ota.Soak{Duration: time.Second}}
	var want map[string]string
	writes := 0
	inScene(t, func(s *scene) {
		id := s.start(policy, ota.Shape{Size: 3}, agents...)
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
		want, writes = s.records(id), len(s.log(id))-2
	})
	for kill := range writes {
		for _, landed := range []bool{true, false} {
			inScene(t, func(s *scene) {
				n := 0
				ctx, die := context.WithTimeout(s.ctx, time.Hour)
				dead := false
				s.store.BeforeCommit.Set(func(c context.Context, k ota.Commit) error {
					if dead && c.Value(epochKey{}) == nil {
						return harness.ErrDown
					}
					if k.If.Epoch == 0 {
						return nil
					}
					if n == kill && !dead {
						dead = true
						die()
						if landed { // the process dies before it hears of it
							s.store.BeforeCommit.Set(nil)
							_, err := s.store.Commit(c, k)
							require.NoError(s, err)
							s.store.BeforeCommit.Set(func(c context.Context, _ ota.Commit) error {
								if dead {
									return harness.ErrDown
								}
								return nil
							})
						}
						return harness.ErrDown
					}
					n++
					return nil
				})
				id := s.start(policy, ota.Shape{Size: 3}, agents...)
				first, err := ota.New(s.store, s.fleet, ota.Options{Name: "killed", DrainTimeout: -1})
				require.NoError(s, err)
				_ = first.Run(ctx)
				dead = false
				s.store.BeforeCommit.Set(nil)
				done := s.finished(id)
				p := s.drive(id)
				require.Equal(s, ota.StatusCompleted, p.Status)
				require.Equal(s, want, s.records(id), "killed at write %d, landed %v", kill, landed)
				s.requireNotAgain(id, done)
			})
		}
	}
}

type epochKey struct{}

// records is what became of every agent.
func (s *scene) records(id string) map[string]string {
	out := map[string]string{}
	for name, a := range s.agents(id) {
		out[name] = fmt.Sprint(a.Status, a.Changed, a.Tasks[0].Reason, a.Tasks[0].Attempts, a.Tasks[0].Error)
	}
	return out
}

// finished tells which agents have ended, and how many calls there were.
func (s *scene) finished(id string) map[string]int {
	out := map[string]int{}
	for name, a := range s.agents(id) {
		if a.Status.Finished() {
			out[name] = len(s.fleet.made(name))
		}
	}
	return out
}

func (s *scene) requireNotAgain(id string, done map[string]int) {
	s.Helper()
	for name, n := range done {
		require.Len(s, s.fleet.made(name), n, "%s of plan %s had ended, and was called again", name, id)
	}
}

func TestPromise5TwoEnginesOneStore(t *testing.T) {
	inScene(t, func(s *scene) {
		var mute atomic.Bool
		s.store.BeforeRenew.Set(func(_ context.Context, engine string) error {
			if mute.Load() && engine == "one" {
				return harness.ErrDown
			}
			return nil
		})
		s.fleet.latency = 4 * time.Second
		id := s.start(ota.Policy{Concurrency: 5}, ota.Shape{Size: 50}, names("ok", 50)...)
		two := s.engineOf(s.store, s.fleet, ota.Options{Name: "two", Poll: time.Second})
		s.run(s.e)
		s.after(time.Second)
		s.run(two)
		s.after(5 * time.Second)
		require.Equal(s, "one", s.plan(id).Owner)
		mute.Store(true)
		s.after(10 * time.Second)
		require.Equal(s, "two", s.plan(id).Owner)
		p, err := two.Wait(s.ctx, id)
		require.NoError(s, err)
		require.Equal(s, ota.StatusCompleted, p.Status)
		require.Equal(s, 50, p.Counts.Succeeded)
		repeats, epochs := 0, map[string]uint64{}
		for _, c := range s.fleet.made("") {
			if last, again := epochs[c.Key()]; again {
				repeats++
				require.Greater(s, c.Epoch, last)
				require.True(s, c.Repeat)
			}
			epochs[c.Key()] = c.Epoch
			require.Equal(s, 1, c.Number)
		}
		require.NotZero(s, repeats, "the scene is of no use when nothing was in flight at the takeover")
		require.LessOrEqual(s, repeats, 5)
	})
}

func TestPromise6RollbackTouchesWhatWasTouched(t *testing.T) {
	for seed := range uint64(20) {
		inScene(t, func(s *scene) {
			r := rand.New(rand.NewPCG(seed, 6))
			agents := slices.Concat(names("ok", 8), names("fail", 3), names("away", 2), names("same", 2), names("clean", 2), names("slow", 3))
			r.Shuffle(len(agents), func(i, k int) { agents[i], agents[k] = agents[k], agents[i] })
			plan, err := s.e.Create(s.ctx, ota.Spec{
				Name: "x", FromVersion: "1", ToVersion: "2", Shape: ota.Shape{Size: 1 + r.IntN(10)},
				Policy: ota.Policy{Concurrency: 4, FailureThreshold: ptr(1.0)},
				Agents: func(yield func(ota.Agent, error) bool) {
					for i, id := range agents {
						if !yield(ota.Agent{ID: id, Version: fmt.Sprintf("0.%d", i)}, nil) {
							return
						}
					}
				},
			})
			require.NoError(s, err)
			_, err = s.e.Start(s.ctx, plan.ID, ota.Request{})
			require.NoError(s, err)
			s.run(s.e)
			s.after(time.Duration(r.IntN(40)) * time.Second)
			back, err := s.e.Rollback(s.ctx, plan.ID, ota.RollbackSpec{}, ota.Request{})
			if errors.Is(err, ota.ErrNothing) {
				return
			}
			require.NoError(s, err)
			_, err = s.e.Wait(s.ctx, back.ID)
			require.NoError(s, err)
			s.after(5 * time.Second)
			s.status(plan.ID, ota.StatusRolledBack)
			s.status(back.ID, ota.StatusCompleted)
			undone := map[string]string{}
			for _, c := range s.fleet.made("") {
				if c.IsRollback {
					undone[c.Agent] = c.ToVersion
				}
			}
			for id, a := range s.agents(plan.ID) {
				to, was := undone[id]
				require.Equal(s, a.Changed, was, "%s touched: %v, taken back: %v", id, a.Changed, was)
				if was {
					require.Equal(s, a.Version, to)
				}
			}
			require.Empty(s, s.plan(back.ID).RollbackPlan)
			_, err = s.e.Rollback(s.ctx, back.ID, ota.RollbackSpec{}, ota.Request{})
			require.ErrorIs(s, err, ota.ErrState)
			s.stays(plan.ID, ota.StatusRolledBack)
		})
	}
}

func TestPromise7ExplainIsNeverEmpty(t *testing.T) {
	for seed := range uint64(40) {
		inScene(t, func(s *scene) {
			r := rand.New(rand.NewPCG(seed, 7))
			s.fleet.do = randomly(r, 0.15)
			id := s.start(ota.Policy{
				Concurrency: 4, Retry: ota.RetryPolicy{Max: 1, Backoff: 10 * time.Second}, Soak: ota.Soak{Duration: 10 * time.Second},
				Hold: ota.Hold{Batches: []int{2}},
			}, ota.Shape{Size: 8}, names("ok", 32)...)
			s.run(s.e)
			for range 60 {
				s.sayRandomly(r, id, 1)
				s.after(0)
				before := s.plan(id)
				x := s.explain(id)
				s.after(time.Second)
				if !before.Status.Ended() && s.plan(id).Revision == before.Revision {
					require.NotEmpty(s, x.Blockers, "%s makes no progress and does not say why", x.Sentence())
				}
			}
		})
	}
}

func TestPromise8LogWithoutGap(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(ota.Policy{Concurrency: 3}, ota.Shape{}, names("ok", 40)...)
		ctx, cancel := context.WithCancel(s.ctx)
		defer cancel()
		type seen struct {
			from uint64
			got  []uint64
		}
		results := make(chan seen, 5)
		for from := range uint64(5) {
			go func() {
				one := seen{from: from}
				for rec, err := range s.e.Watch(ctx, id, from) {
					if err != nil {
						break
					}
					one.got = append(one.got, rec.Revision)
					if from == 4 { // a reader that stalls
						time.Sleep(time.Minute)
					}
				}
				results <- one
			}()
		}
		begun := time.Now()
		p := s.drive(id)
		require.Equal(s, ota.StatusCompleted, p.Status)
		require.Equal(s, 16*time.Second, time.Since(begun), "40 agents of 1 s, 3 at once in batches of 10: nobody was waited for")
		s.after(30 * time.Minute)
		cancel()
		for range 5 {
			one := <-results
			require.Len(s, one.got, int(p.Revision-one.from))
			for i, rev := range one.got {
				require.Equal(s, one.from+uint64(i)+1, rev)
			}
		}
	})
}
