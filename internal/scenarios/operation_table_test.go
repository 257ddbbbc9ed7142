package scenarios

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// operation is one way to call one method of the Engine. p is the plan as it was before.
type operation struct {
	method, how string
	say         func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error)
}

func (op *operation) name() string { return op.method + op.how }

// gap reports the two cases in which no engine finishes what was begun, because nobody drives a source that has ended.
// Both die after the first of two commits: a CreateRollback, whose plan is not made, and a Cancel of a rollback plan that
// was not started, which stays tied to its source. Neither has an answer yet, and every further call finishes it.
func (op *operation) gap(how interruption, out *upshot, target, other ota.Plan) bool {
	if how.at == 0 || how.again || !out.accepted {
		return false
	}
	return op.method == "CreateRollback" && target.Status.Ended() && other.ID == "" ||
		op.method == "Cancel" && other.Status.Ended() && other.RollbackPlan != ""
}

func operations() []operation {
	return []operation{
		{"Start", "", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Start(ctx, p.ID, by)
		}},
		{"Pause", "", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Pause(ctx, p.ID, by)
		}},
		{"Resume", "", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Resume(ctx, p.ID, ota.Decision{}, by)
		}},
		{"Resume", " accepting", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Resume(ctx, p.ID, ota.Accept(p.Counts.Bad()), by)
		}},
		{"Resume", " retrying", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Resume(ctx, p.ID, ota.RetryFailed(), by)
		}},
		{"Cancel", "", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Cancel(ctx, p.ID, false, by)
		}},
		{"Cancel", " interrupting", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Cancel(ctx, p.ID, true, by)
		}},
		{"Promote", "", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Promote(ctx, p.ID, 1, by)
		}},
		{"Skip", "", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Skip(ctx, p.ID, []string{"ok-4"}, by)
		}},
		{"GiveUp", "", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.GiveUp(ctx, p.ID, []string{"slow-2"}, by)
		}},
		{"Now", "", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Now(ctx, p.ID, []string{"ok-4"}, by)
		}},
		{"Retry", "", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Retry(ctx, p.ID, nil, by)
		}},
		{"Edit", "", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Edit(ctx, p.ID, func(p *ota.Policy) { p.Concurrency = 7 }, by)
		}},
		{"Annotate", "", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Annotate(ctx, p.ID, map[string]string{"a": "b"}, nil, by)
		}},
		{"Precheck", "", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Precheck(ctx, p.ID, by)
		}},
		{"CreateRollback", "", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.CreateRollback(ctx, p.ID, ota.RollbackSpec{}, by)
		}},
		{"Rollback", "", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Rollback(ctx, p.ID, ota.RollbackSpec{}, by)
		}},
		{"Rollback", " interrupting", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			return e.Rollback(ctx, p.ID, ota.RollbackSpec{Interrupt: true}, by)
		}},
		{"Rollback", " that may not start", func(ctx context.Context, e *ota.Engine, p ota.Plan, by ota.Request) (ota.Plan, error) {
			policy := ota.Policy{PlanTimeout: time.Hour, Windows: []ota.Window{{Start: 12 * time.Hour, Length: time.Hour}}}
			return e.Rollback(ctx, p.ID, ota.RollbackSpec{Policy: &policy}, by)
		}},
	}
}

// grounds are the situations without a rollback plan. In flight: one agent is done, one at work. Waiting: one is done, one
// waits for its next try.
func grounds() map[string]func(*scene) string {
	retry := ota.Policy{FailureThreshold: ptr(1.0), Retry: ota.RetryPolicy{Max: 3, Backoff: 10 * time.Minute}}
	inFlight := func(s *scene) string { return s.inFlight(ota.Policy{}, "slow-2") }
	waiting := func(s *scene) string { return s.inFlight(retry, "flaky-2") }
	then := func(put func(*scene) string, say func(*scene, string) (ota.Plan, error)) func(*scene) string {
		return func(s *scene) string {
			id := put(s)
			s.said(say(s, id))
			s.after(time.Second)
			return id
		}
	}
	rest := func(put func(*scene) string) func(*scene) string {
		return func(s *scene) string { id := put(s); s.after(20 * time.Second); return id }
	}
	return map[string]func(*scene) string{
		"pending": func(s *scene) string {
			s.run(s.e)
			return s.create(ota.Policy{}, ota.Shape{Size: 2}, "ok-1", "ok-2", "ok-3", "ok-4").ID
		},
		"in flight":      inFlight,
		"waiting":        waiting,
		"pausing":        then(inFlight, pauseIt),
		"paused":         rest(then(inFlight, pauseIt)),
		"paused waiting": then(waiting, pauseIt),
		"canceling":      then(inFlight, say[ota.VerbCancel]),
		"canceled":       rest(then(inFlight, say[ota.VerbCancel])),
		"completed":      rest(func(s *scene) string { return s.inFlight(ota.Policy{}, "ok-2") }),
		"failed":         rest(func(s *scene) string { return s.inFlight(ota.Policy{FailureThreshold: ptr(1.0)}, "fail-2") }),
		"breached":       rest(func(s *scene) string { return s.inFlight(ota.Policy{}, "fail-2") }),
		"held":           rest(func(s *scene) string { return s.inFlight(ota.Policy{Hold: ota.Hold{All: true}}, "ok-2") }),
	}
}

// frozen are the situations in which a rollback plan waits for its Start, the name of the plan first that is spoken to.
func frozen() map[string]func(*scene) string {
	all := map[string]func(*scene) string{}
	for name, put := range grounds() {
		if name == "pending" {
			continue
		}
		freeze := func(s *scene) string {
			id := put(s)
			s.said(s.e.CreateRollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{}))
			s.after(2 * time.Second) // what can come to rest has
			return id
		}
		all["source, "+name] = freeze
		all["rollback plan, "+name] = func(s *scene) string { return s.plan(freeze(s)).RollbackPlan }
	}
	return all
}

// rollingBack are the situations in which a rollback plan runs, and will be held after its first batch.
func rollingBack() map[string]func(*scene) string {
	all := map[string]func(*scene) string{}
	for name, put := range grounds() {
		if name == "pending" {
			continue
		}
		begin := func(s *scene) string {
			id := put(s)
			s.said(s.e.Rollback(s.ctx, id, ota.RollbackSpec{Policy: &ota.Policy{Hold: ota.Hold{All: true}}}, ota.Request{}))
			s.after(500 * time.Millisecond)
			return id
		}
		all["source, "+name] = begin
		all["rollback plan, "+name] = func(s *scene) string { return s.plan(begin(s)).RollbackPlan }
	}
	return all
}

func TestOperationsSurviveRepetitionAndCrash(t *testing.T) {
	all := grounds()
	all["completed, agents held by another plan"] = func(s *scene) string {
		id := grounds()["completed"](s)
		s.start(ota.Policy{Hold: ota.Hold{All: true}}, ota.Shape{Size: 1}, "ok-other", "ok-1")
		s.after(20 * time.Second)
		return id
	}
	allSurvive(t, all, "in flight", "waiting")
}

func TestOperationsOnFrozenPlansSurviveRepetitionAndCrash(t *testing.T) {
	allSurvive(t, frozen(), "rollback plan, paused", "rollback plan, completed")
}

func TestOperationsOnRollbacksSurviveRepetitionAndCrash(t *testing.T) {
	allSurvive(t, rollingBack(), "rollback plan, in flight")
}

// allSurvive tries every operation in every situation; with -short only in those named.
func allSurvive(t *testing.T, situations map[string]func(*scene) string, short ...string) {
	t.Helper()
	for name, put := range situations {
		if testing.Short() && !slices.Contains(short, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nothing := try(t, put, nil, interruption{}, false)
			for _, op := range operations() {
				t.Run(op.name(), func(t *testing.T) { op.survives(t, put, nothing.ending) })
			}
		})
	}
}

func (op *operation) survives(t *testing.T, put func(*scene) string, nothing ending) {
	t.Helper()
	want := try(t, put, op, interruption{}, false)
	check := func(how interruption, same sameProcess) upshot {
		got := try(t, put, op, how, same)
		op.compare(t, how, same, want, got, nothing)
		return got
	}
	once := check(interruption{request: "r"}, false)
	if once.writes == 0 {
		return // it was refused
	}
	check(interruption{request: "r", repeat: "r", again: true}, false)
	for _, same := range []sameProcess{false, true} {
		if same && once.writes == 1 {
			return // the process that drives is as good as any other
		}
		for at := 1; at <= once.writes; at++ {
			for _, landed := range []bool{false, true} {
				check(interruption{request: "r", at: at, after: landed}, same)
				check(interruption{request: "r", at: at, after: landed, repeat: "r", again: true}, same)
				check(interruption{request: "r", at: at, after: landed, repeat: "other", again: true}, same)
			}
		}
	}
}

// compare holds what came of an interruption against what came of command the same without a request ID, once.
func (op *operation) compare(t *testing.T, how interruption, same sameProcess, want, got upshot, nothing ending) {
	t.Helper()
	end := want.ending
	switch {
	case how.at > 0 && !how.again && !got.accepted: // nothing was said
		end = nothing
	case got.gap:
		return
	}
	if same && how.at > 0 { // calls were lost too, and made again
		end.TargetCounts, end.OtherCounts, got.TargetCounts, got.OtherCounts = ota.Counts{}, ota.Counts{}, ota.Counts{}, ota.Counts{}
	}
	require.Equal(t, end, got.ending, "%s, same process %t: %v", how, same, got.err)
	if want.err == nil {
		require.NoError(t, got.late, "%s: repeated late", how)
	}
	if kind := sentinel(got.err, how); how.repeat != "other" && (how.at == 0 || how.again) {
		require.Equal(t, sentinel(want.err, interruption{}), kind, "%s: %v", how, got.err)
	}
}
