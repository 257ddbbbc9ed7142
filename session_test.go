package ota

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Orders are folded first, a chunk a commit. What came in meanwhile is held until a commit has taken it in.
func TestOrdersFirstThenWhatIsHeld(t *testing.T) {
	inScene(t, func(s *scene) {
		agents := names("a", orderChunk+100)
		id := s.start(Policy{Concurrency: 1}, Shape{}, agents...)
		x := newSession(rowStore{store: s.store}, id, "one", 0)
		turn := func() (again bool) {
			_, again, err := x.turn(s.ctx, time.Now(), turnInput{})
			require.NoError(s, err)
			return again
		}
		turn()
		require.Len(s, x.starts, 1)
		call := x.starts[0]
		x.starts = x.starts[:0]
		s.said(s.e.Skip(s.ctx, id, agents[1:], Request{}))
		require.NoError(s, x.refresh(s.ctx))
		o := call.outcome(time.Now())
		o.reason = ReasonSucceeded
		x.addInput(input{outcomes: []outcome{o}})
		require.True(s, turn(), "a chunk of the order is folded, the outcome is not")
		require.Equal(s, TaskRunning, s.agent(id, call.agent).Status)
		s.said(s.e.Annotate(s.ctx, id, map[string]string{"a": "b"}, nil, Request{})) // the next commit is refused
		for turn() {
		}
		require.Equal(s, TaskSucceeded, s.agent(id, call.agent).Status)
		require.Empty(s, x.starts, "it is called once")
		s.status(id, StatusCompleted)
	})
}

// takenStore has another engine take a plan at the worst moment: after somebody has asked who is
// alive, before he looks at the plans.
type takenStore struct {
	*testStore
	once sync.Once
	take func()
}

func (s *takenStore) Plans(ctx context.Context, q PlanQuery) (Page[PlanRow], error) {
	s.once.Do(s.take)
	return s.testStore.Plans(ctx, q)
}

// An engine that has come up since the living were counted keeps its plan.
func TestAFreshOwnerIsLeftAlone(t *testing.T) {
	inScene(t, func(s *scene) {
		mem := newTestStore()
		seed := s.engine(mem, s.fleet, "seed")
		p, err := seed.Create(s.ctx, Spec{Name: "taken", ToVersion: "2", Agents: AgentIDs("ok-1")})
		require.NoError(s, err)
		id := p.ID
		_, err = seed.Start(s.ctx, id, Request{})
		require.NoError(s, err)
		store := &takenStore{testStore: mem, take: func() {
			require.NoError(s, mem.Renew(s.ctx, "fresh", time.Hour))
			_, _, err := newSession(rowStore{store: mem}, id, "fresh", 0).turn(s.ctx, time.Now(), turnInput{})
			require.NoError(s, err)
		}}
		stop := s.run(s.engine(store, s.fleet, "one"))
		s.after(30 * time.Minute)
		row, err := rowStore{store: mem}.Plan(s.ctx, id)
		require.NoError(s, err)
		require.Equal(s, "fresh", row.Progress.Owner)
		require.EqualValues(s, 1, row.Epoch)
		require.NoError(s, stop())
	})
}

// Of two engines that saw the same plan without an owner, the second does not take it from the
// first.
func TestOnlyTheFirstTakesAPlan(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(Policy{}, Shape{}, "ok-0")
		first, second := newSession(rowStore{store: s.store}, id, "first", 0), newSession(rowStore{store: s.store}, id, "second", 0)
		_, _, err := first.turn(s.ctx, time.Now(), turnInput{})
		require.NoError(s, err)
		_, _, err = second.turn(s.ctx, time.Now(), turnInput{})
		require.ErrorIs(s, err, ErrFenced)
		row, err := rowStore{store: s.store}.Plan(s.ctx, id)
		require.NoError(s, err)
		require.Equal(s, "first", row.Progress.Owner)
		require.EqualValues(s, 1, row.Epoch)
	})
}

// betweenReads does something before the first read of agents.
type betweenReads struct {
	Store
	once sync.Once
	do   func()
}

func (s *betweenReads) Rows(ctx context.Context, plan string, q RowQuery) (Page[Row], error) {
	if q.Kind == KindAgent {
		s.once.Do(s.do)
	}
	return s.Store.Rows(ctx, plan, q)
}

// The owner before starts an urgent agent after its batch was read, and before its row is. The
// engine that takes the plan over reads the plan again.
func TestATakeoverBetweenTwoReads(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.start(Policy{Concurrency: 3}, Shape{Size: 1}, names("ok", 5)...)
		old := newSession(rowStore{store: s.store}, id, "old", 0)
		now := func(agent string) {
			if agent != "" {
				s.said(s.e.Now(s.ctx, id, []string{agent}, Request{}))
				require.NoError(s, old.refresh(s.ctx))
			}
			for again := true; again; {
				var err error
				_, again, err = old.turn(s.ctx, time.Now(), turnInput{})
				require.NoError(s, err)
			}
		}
		now("")
		now("ok-003")
		torn := &betweenReads{Store: s.store, do: func() { now("ok-002") }}
		taken := newSession(rowStore{store: torn}, id, "new", 1)
		for again := true; again; {
			var err error
			_, again, err = taken.turn(s.ctx, time.Now(), turnInput{})
			require.NoError(s, err)
		}
		require.Len(s, taken.starts, 3, "the calls are made again")
		require.Equal(s, 3, s.plan(id).Counts.Running)
	})
}

// postman begins attempts by remembering them; agents whose IDs begin with away are not reached.
type postman struct {
	mu    sync.Mutex
	begun []Attempt
	then  func(Attempt) // called by begin
}

func (p *postman) begin(_ context.Context, a Attempt) error {
	p.mu.Lock()
	p.begun = append(p.begun, a)
	p.mu.Unlock()
	if p.then != nil {
		p.then(a)
	}
	if strings.HasPrefix(a.Agent, "away") {
		return Unreachable(errors.New("no route"))
	}
	return nil
}

func (p *postman) of(agent string) (out []Attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.begun {
		if a.Agent == agent {
			out = append(out, a)
		}
	}
	return out
}

func inPost(t *testing.T, f func(s *scene, p *postman)) {
	t.Helper()
	inScene(t, func(s *scene) {
		p := &postman{}
		s.use(Async(p.begin))
		f(s, p)
	})
}

func (s *scene) report(e *Engine, id string, r ...OutcomeReport) {
	s.Helper()
	require.NoError(s, e.ReportOutcomes(s.ctx, id, r))
}

func upgraded(agent string, number int) OutcomeReport {
	return OutcomeReport{Agent: agent, Number: number, Reason: ReasonSucceeded, Version: "2"}
}

func TestAWaitingCallEndsByItsReport(t *testing.T) {
	inPost(t, func(s *scene, p *postman) {
		id := s.start(Policy{Concurrency: 2}, Shape{Size: 2}, "a-1", "a-2", "a-3")
		s.run(s.e)
		s.after(time.Second)
		require.Len(s, p.begun, 2)
		s.report(s.e, id, upgraded("a-1", 1))
		require.Equal(s, TaskSucceeded, s.agent(id, "a-1").Status, "a report is acknowledged once it is committed")
		s.after(time.Second)
		require.Equal(s, 1, s.e.drivers[id].pool.inFlight(), "the call of a-1 has returned")
		s.report(s.e, id, upgraded("a-2", 1))
		s.after(time.Second)
		s.report(s.e, id, upgraded("a-3", 1))
		s.after(time.Second)
		s.status(id, StatusCompleted)
		require.Empty(s, s.events(id, EventLate))
	})
}

func TestAReportedFailureIsTriedAgain(t *testing.T) {
	inPost(t, func(s *scene, p *postman) {
		id := s.start(Policy{Retry: RetryPolicy{Max: 1}}, Shape{}, "a-1", "away-2")
		s.run(s.e)
		s.after(time.Second)
		s.report(s.e, id, OutcomeReport{Agent: "a-1", Number: 1, Reason: ReasonError, Message: "disk full"})
		s.after(time.Second)
		require.Len(s, p.of("a-1"), 2)
		require.Equal(s, 2, p.of("a-1")[1].Number)
		require.Equal(s, 1, s.e.drivers[id].pool.inFlight(), "neither the first call nor an agent that is away holds a goroutine")
		s.report(s.e, id, OutcomeReport{Agent: "a-1", Number: 2, Reason: ReasonSucceeded, Version: "7"})
		require.Equal(s, "wrong_version", s.agent(id, "a-1").Tasks[0].Reason.String())
	})
}

// A paused plan repeats nothing, so its lost attempts queue. One that is reported leaves the queue.
func TestAReportTakesALostAttemptOutOfTheQueue(t *testing.T) {
	inPost(t, func(s *scene, _ *postman) {
		id := s.start(Policy{Concurrency: 2}, Shape{}, names("a", 6)...)
		stop := s.run(s.e)
		s.after(time.Second)
		require.NoError(s, stop())
		s.said(s.e.Pause(s.ctx, id, Request{}))
		x := newSession(rowStore{store: s.store}, id, "one", 0)
		turn := func(in input) {
			_, _, err := x.turn(s.ctx, time.Now(), turnInput{input: in})
			require.NoError(s, err)
		}
		turn(input{})
		later := OutcomeReport{Agent: "a-000", Number: 1, Reason: ReasonError, Message: "disk full"}
		s.said(s.e.Edit(s.ctx, id, func(p *Policy) { p.Retry = RetryPolicy{Max: 1, Backoff: time.Hour} }, Request{}))
		require.NoError(s, x.refresh(s.ctx))
		turn(input{reports: []reported{later.input(time.Now())}})
		s.said(s.e.Resume(s.ctx, id, Decision{}, Request{}))
		require.NoError(s, x.refresh(s.ctx))
		turn(input{})
		require.Len(s, x.starts, 1, "the other lost attempt is repeated, this one is due in an hour")
		require.Equal(s, "a-001", x.starts[0].agent)
	})
}

// A verb that was decided on a plan as it was before its end does not land after it: the log would tell of a plan that goes on.
func TestNoVerbLandsAfterTheEnd(t *testing.T) {
	by := Request{Actor: "ann"}
	says := map[string]func(*command) error{
		"pause":    (*command).pause,
		"cancel":   func(w *command) error { return w.cancel(false) },
		"edit":     func(w *command) error { return w.edit(func(p *Policy) { p.Concurrency = 7 }) },
		"annotate": func(w *command) error { return w.annotate(map[string]string{"a": "b"}, nil) },
	}
	for _, loose := range []bool{false, true} { // as at first, and once it was refused
		for name, say := range says {
			t.Run(name, func(t *testing.T) {
				inScene(t, func(s *scene) {
					id := s.start(Policy{Concurrency: 1}, Shape{}, names("ok", 2)...)
					stop := s.run(s.e)
					s.after(500 * time.Millisecond)
					row, err := rowStore{store: s.store}.Plan(s.ctx, id)
					require.NoError(s, err)
					s.after(time.Minute)
					require.NoError(s, stop())
					before := s.plan(id)
					require.Equal(s, StatusCompleted, before.Status)
					w := &command{ctx: s.ctx, store: rowStore{store: s.store}, verb: VerbAnnotate, request: by, row: row, now: time.Now(), inexact: loose}
					_, err = w.commit(say)
					require.ErrorIs(s, err, ErrConflict)
					require.Equal(s, before.Revision, s.plan(id).Revision)
				})
			})
		}
	}
}

// An older version could store a rollback plan that runs while its source is only frozen. The engine repairs that.
func TestARunningRollbackPlanMakesItsSourceRollBack(t *testing.T) {
	for name, put := range map[string]func(*scene) string{
		"in flight": func(s *scene) string { return s.inFlight(Policy{}, "slow-2") },
		"completed": func(s *scene) string {
			id := s.inFlight(Policy{}, "ok-2")
			s.after(10 * time.Second)
			return id
		},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				id := put(s)
				back := s.said(s.e.CreateRollback(s.ctx, id, RollbackSpec{}, Request{}))
				_, err := s.e.apply(s.ctx, back.ID, VerbStart, Request{}, (*command).start) // as it was stored
				require.NoError(s, err)
				s.after(time.Minute)
				s.status(id, StatusRolledBack)
				s.status(back.ID, StatusCompleted)
			})
		})
	}
}

// inFlight is a plan that runs, with one agent that has succeeded and one, the one named, that is at work or waits.
func (s *scene) inFlight(p Policy, agent string) string {
	p.Concurrency = 1
	id := s.start(p, Shape{Size: 3}, "ok-1", agent, "ok-3", "ok-4")
	s.run(s.e)
	s.after(2500 * time.Millisecond)
	return id
}

// A verb compares Progress only if its answer depends on it, and not twice. So a call may return, or be made, between the
// verb's read and its commit. Then the answer is the weaker status, never the stronger one. The right status is recorded in
// time, even if no engine ran when the verb landed. The end has one Control number.
func TestWeakerAnswersBecomeRight(t *testing.T) {
	const begun, observed, next = 500 * time.Millisecond, 30 * time.Second, 65 * time.Second // what is in flight: 1, 0, 1
	verbs := []struct {
		verb         Verb
		say          func(*command) error
		weak, strong Status
	}{
		{VerbPause, (*command).pause, StatusPausing, StatusPaused},
		{VerbCancel, func(w *command) error { return w.cancel(false) }, StatusCanceling, StatusCanceled},
	}
	cases := []struct {
		name        string
		read, lands time.Duration
		loose       bool   // an exact commit was refused before
		alive       bool   // an engine runs when the verb lands
		ends        uint64 // by how much the end raises the number
	}{
		{"the call returned", begun, observed, false, true, 0},
		{"the call returned, no engine", begun, observed, false, false, 0},
		{"nothing was in flight", observed, observed + time.Second, true, true, 0},
		{"nothing was in flight, no engine", observed, observed + time.Second, true, false, 0},
		{"a call was made", observed, next, true, true, 1},
	}
	for _, v := range verbs {
		for _, c := range cases {
			t.Run(v.verb.String()+"/"+c.name, func(t *testing.T) {
				inScene(t, func(s *scene) {
					id := s.start(Policy{Soak: Soak{Duration: time.Minute}}, Shape{Size: 1}, "ok-1", "slow-2", "ok-3")
					stop := s.run(s.e)
					s.after(c.read)
					row, err := rowStore{store: s.store}.Plan(s.ctx, id)
					require.NoError(s, err)
					s.after(c.lands - c.read)
					if !c.alive {
						require.NoError(s, stop())
					}
					w := &command{ctx: s.ctx, store: rowStore{store: s.store}, verb: v.verb, request: Request{Actor: "ann"}, row: row, now: time.Now(), inexact: c.loose}
					row, err = w.commit(v.say)
					require.NoError(s, err)
					answer := w.plan(&row)
					require.Equal(s, v.weak.String(), answer.Status.String())
					require.Zero(s, answer.EndedAt)
					landed := s.plan(id).Generation
					require.Equal(s, answer.Generation, landed)
					if !c.alive {
						stop = s.run(s.engine(s.store, s.fleet, "two"))
					}
					s.after(3 * time.Minute)
					row, err = rowStore{store: s.store}.Plan(s.ctx, id)
					require.NoError(s, err)
					require.Equal(s, v.strong.String(), row.Status.String(), "the stored status, of which lists are made")
					require.NoError(s, stop())
					if v.strong.Ended() {
						require.Equal(s, landed+c.ends, row.ControlNumber)
						s.start(Policy{}, Shape{}, "ok-1", "slow-2", "ok-3") // its claims have ended
					} else {
						require.Equal(s, landed, row.ControlNumber)
					}
					s.stays(id, v.strong)
				})
			})
		}
	}
}
