package scenarios

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// tasked makes agents with the components that componentTasks tells.
func tasked(n int, ids ...string) []ota.Agent {
	agents := make([]ota.Agent, len(ids))
	for i, id := range ids {
		agents[i] = ota.Agent{ID: id, Tasks: componentTasks(n)}
	}
	return agents
}

// startTasks starts a plan of agents with tasks.
func (s *scene) startTasks(p ota.Policy, agents ...ota.Agent) string {
	s.Helper()
	plan, err := s.e.Create(s.ctx, ota.Spec{Name: "test", FromVersion: "1", ToVersion: "2", Agents: listed(agents), Policy: p})
	require.NoError(s, err)
	_, err = s.e.Start(s.ctx, plan.ID, ota.Request{Actor: "ann"})
	require.NoError(s, err)
	return plan.ID
}

// told lists the calls for one agent, or all, as "agent component from>to".
func (s *scene) told(agent string) (out []string) {
	for _, c := range s.fleet.made(agent) {
		out = append(out, fmt.Sprintf("%s %s %s>%s", c.Agent, c.Component.Name, c.FromVersion, c.ToVersion))
	}
	return out
}

func (s *scene) failing(component string, err error) {
	s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
		if !a.IsRollback && a.Component.Name == component {
			return ota.Result{}, true, err
		}
		return ota.Result{}, false, nil
	}
}

func TestTasksAreDoneInOrder(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.startTasks(ota.Policy{Concurrency: 1}, tasked(3, "a", "b")...)
		p := s.plan(id)
		require.Equal(s, []int{2, 6}, []int{p.Counts.Pending, p.Tasks.Pending})
		require.Equal(s, []string{"c0", "c1", "c2"}, p.Components)
		p = s.drive(id)
		require.Equal(s, ota.StatusCompleted, p.Status)
		require.Equal(s, []string{"a c0 1>2", "a c1 1.1>2.1", "a c2 1.2>2.2", "b c0 1>2", "b c1 1.1>2.1", "b c2 1.2>2.2"}, s.told(""))
		require.Equal(s, 1, s.fleet.most, "one slot for each agent, one task at a time")
		require.Equal(s, []int{2, 6}, []int{p.Counts.Succeeded, p.Tasks.Succeeded})
		task := s.agent(id, "b").Tasks[2]
		require.Equal(s, []string{"c2", "i2", "1.2", "2.2"}, []string{task.Component.Name, task.Component.Instance, task.From, task.Target})
		require.True(s, task.Changed)
		require.Len(s, s.events(id, ota.EventTaskStarted), 6)
	})
}

func TestAnAgentFailsOnceAndGoesOnAtTheFailedTask(t *testing.T) {
	inScene(t, func(s *scene) {
		s.failing("c1", ota.Permanent(errors.New("no")))
		id := s.startTasks(ota.Policy{FailureThreshold: ptr(0.0)}, tasked(3, "a")...)
		p := s.drive(id)
		require.Equal(s, ota.StatusPaused, p.Status)
		require.Equal(s, 1, p.Counts.Failed)
		require.Equal(s, ota.Counts{Succeeded: 1, Failed: 1, Skipped: 1}, p.Tasks)
		require.Equal(s, ota.ReasonAgentFailed, s.agent(id, "a").Tasks[2].Reason)

		s.fleet.do = nil
		_, err := s.e.Resume(s.ctx, id, ota.RetryFailed(), ota.Request{})
		require.NoError(s, err)
		require.Equal(s, ota.StatusCompleted, s.drive(id).Status)
		require.Equal(s, []string{"a c0 1>2", "a c1 1.1>2.1", "a c1 1.1>2.1", "a c2 1.2>2.2"}, s.told("a"), "what is done is not done again")
	})
}

func TestARollbackTakesTasksBackInReverse(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
			switch {
			case a.IsRollback:
				return ota.Result{}, false, nil
			case a.Component.Name == "c1":
				return ota.Result{Unchanged: true}, true, nil
			case a.Component.Name == "c2":
				return ota.Result{}, true, ota.Permanent(errors.New("no"))
			}
			return ota.Result{}, false, nil
		}
		id := s.startTasks(ota.Policy{FailureThreshold: ptr(0.0), OnBreach: ota.ActionRollback}, tasked(4, "a")...)
		s.drive(id)
		r := s.drive(s.plan(id).RollbackPlan)
		require.Equal(s, ota.StatusCompleted, r.Status)
		require.Equal(s, []string{"a c2 2.2>1.2", "a c0 2>1"}, s.told("a")[3:], "c1 was not changed, c3 not begun")
		require.Equal(s, []int{1, 2}, []int{r.Counts.Succeeded, r.Tasks.Succeeded})
	})
}

func TestATaskInFlightThatChangedNothingIsNotTakenBack(t *testing.T) {
	for name, c := range map[string]struct {
		answer error
		back   []string
	}{
		"it changed nothing":     {ota.Unchanged(ota.Permanent(errors.New("refused"))), []string{"a c0 2>1"}},
		"it may have changed it": {ota.Permanent(errors.New("no")), []string{"a c1 2.1>1.1", "a c0 2>1"}},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				s.failing("c1", nil)
				inner := s.fleet.do
				s.fleet.do = func(ctx context.Context, a ota.Attempt) (ota.Result, bool, error) {
					if _, mine, _ := inner(ctx, a); mine {
						return ota.Result{}, true, errors.Join(nap(ctx, time.Minute), c.answer)
					}
					return ota.Result{}, false, nil
				}
				id := s.startTasks(ota.Policy{FailureThreshold: ptr(1.0)}, tasked(2, "a")...)
				s.run(s.e)
				s.after(10 * time.Second) // c0 is done, c1 is in flight
				r, err := s.e.Rollback(s.ctx, id, ota.RollbackSpec{}, ota.Request{})
				require.NoError(s, err)
				require.Equal(s, 2, r.Tasks.Pending, "nobody knows yet")
				s.after(5 * time.Minute)
				s.status(r.ID, ota.StatusCompleted)
				require.Equal(s, c.back, s.told("a")[2:])
			})
		})
	}
}

// The outcome of one task and the start of the next are one commit. When nobody knows whether that landed, the next task is
// called all the same.
func TestTheNextTaskIsCalledAfterALostAcknowledgement(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(_ context.Context, a ota.Attempt) (ota.Result, bool, error) {
			if a.Task == 0 {
				s.store.LostAcks.Store(1)
			}
			return ota.Result{}, false, nil
		}
		id := s.startTasks(ota.Policy{}, tasked(2, "a")...)
		s.run(s.e)
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
		require.Len(s, s.fleet.made("a"), 2)
	})
}

func TestAnAgentBetweenTwoTasksMayBeSkipped(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.startTasks(ota.Policy{}, tasked(3, "a")...)
		s.run(s.e)
		s.after(time.Second / 2)
		_, err := s.e.Pause(s.ctx, id, ota.Request{})
		require.NoError(s, err)
		s.after(time.Minute)
		require.Equal(s, ota.TaskWaiting, s.agent(id, "a").Status)
		require.Contains(s, strings.Join(s.reasons(id), " "), "paused")
		_, err = s.e.Skip(s.ctx, id, []string{"a"}, ota.Request{Actor: "ann"})
		require.NoError(s, err)
		_, err = s.e.Resume(s.ctx, id, ota.Decision{}, ota.Request{})
		require.NoError(s, err)
		s.after(time.Minute)
		s.status(id, ota.StatusCompleted)
		a := s.agent(id, "a")
		require.Equal(s, ota.TaskSkipped, a.Status)
		require.True(s, a.Changed)
		require.Equal(s, []ota.TaskStatus{ota.TaskSucceeded, ota.TaskSkipped, ota.TaskSkipped}, []ota.TaskStatus{a.Tasks[0].Status, a.Tasks[1].Status, a.Tasks[2].Status})
		require.Len(s, s.fleet.made("a"), 1)
	})
}

// A report about a task that is done says nothing of the call that is out for the next one, whose number is the same.
func TestAReportOfADoneTaskEndsNoOtherCall(t *testing.T) {
	inScene(t, func(s *scene) {
		s.use(ota.Async(func(context.Context, ota.Attempt) error { return nil }))
		id := s.startTasks(ota.Policy{}, tasked(2, "a")...)
		s.run(s.e)
		report := func(task int) {
			s.after(time.Second)
			require.NoError(s, s.e.ReportOutcomes(s.ctx, id, []ota.OutcomeReport{{Agent: "a", Task: task, Number: 1, Reason: ota.ReasonSucceeded}}))
			s.after(time.Second)
		}
		report(0)
		report(0)
		require.Equal(s, ota.TaskRunning, s.agent(id, "a").Tasks[1].Status)
		report(1)
		s.status(id, ota.StatusCompleted)
		require.Equal(s, 1, s.agent(id, "a").Tasks[1].Attempts)
	})
}

func TestResolver(t *testing.T) {
	inScene(t, func(s *scene) {
		var asked []string
		resolve := ota.ResolverFunc(func(_ context.Context, spec ota.Spec, a ota.Agent) ([]ota.TaskSpec, error) {
			asked = append(asked, spec.Name+" "+a.ID)
			if a.ID == "plain" {
				return []ota.TaskSpec{{}}, nil
			}
			return componentTasks(2), nil
		})
		s.e = s.engineOf(s.store, s.fleet, ota.Options{Name: "one", Resolver: resolve})
		spec := ota.Spec{
			Name: "r", FromVersion: "1", ToVersion: "2", Policy: ota.Policy{FailureThreshold: ptr(1.0)},
			Agents: listed([]ota.Agent{{ID: "fail-1"}, {ID: "plain"}, {ID: "own", Tasks: componentTasks(1)}}),
		}
		p, err := s.e.Create(s.ctx, spec)
		require.NoError(s, err)
		require.Equal(s, []string{"r fail-1", "r plain"}, asked, "once for each agent that brings no tasks")
		all := s.agents(p.ID)
		require.Equal(s, []int{2, 1, 1}, []int{len(all["fail-1"].Tasks), len(all["plain"].Tasks), len(all["own"].Tasks)})
		require.Zero(s, all["plain"].Tasks[0].Component)

		_, err = s.e.Start(s.ctx, p.ID, ota.Request{})
		require.NoError(s, err)
		s.drive(p.ID)
		require.Len(s, asked, 2, "the answer is stored")
		failed, err := s.e.FailedSpec(s.ctx, p.ID)
		require.NoError(s, err)
		for a, err := range failed.Agents {
			require.NoError(s, err)
			require.Equal(s, componentTasks(2), a.Tasks)
		}

		view, err := s.e.Preview(s.ctx, spec, ota.PreviewOptions{})
		require.NoError(s, err)
		require.Equal(s, 3, view.Agents)
	})
}

func TestResolverThatFails(t *testing.T) {
	broken := errors.New("no inventory")
	for name, c := range map[string]struct {
		resolve func() ([]ota.TaskSpec, error)
		is      error
		says    string
	}{
		"error": {func() ([]ota.TaskSpec, error) { return nil, broken }, broken, `the tasks of "a": no inventory`},
		"panic": {func() ([]ota.TaskSpec, error) { panic("broken") }, nil, "broken"},
		"none":  {func() ([]ota.TaskSpec, error) { return nil, nil }, ota.ErrInvalid, "agents[0].tasks are none"},
	} {
		t.Run(name, func(t *testing.T) {
			store := memstore.New()
			e, err := ota.New(store, nil, ota.Options{Resolver: ota.ResolverFunc(func(context.Context, ota.Spec, ota.Agent) ([]ota.TaskSpec, error) { return c.resolve() })})
			require.NoError(t, err)
			_, err = e.Create(t.Context(), ota.Spec{ID: "p", Name: "n", ToVersion: "2", Agents: ota.AgentIDs("a")})
			require.ErrorContains(t, err, c.says)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			_, err = e.Plan(t.Context(), "p")
			require.ErrorIs(t, err, ota.ErrNotFound, "nothing is left behind")
		})
	}
}

func TestTasksThatAreRefused(t *testing.T) {
	named := func(names ...string) (tasks []ota.TaskSpec) {
		for _, n := range names {
			tasks = append(tasks, ota.TaskSpec{Component: ota.Component{Name: n}})
		}
		return tasks
	}
	long := strings.Repeat("x", 256)
	for _, c := range []struct {
		tasks []ota.TaskSpec
		field string
	}{
		{[]ota.TaskSpec{}, "agents[0].tasks"},
		{componentTasks(65), "agents[0].tasks"},
		{named("a", ""), "agents[0].tasks[1].component.name"},
		{named("a", "b", "a"), "agents[0].tasks[2].component"},
		{named(long), "agents[0].tasks[0].component.name"},
		{[]ota.TaskSpec{{Component: ota.Component{ID: "\x00"}}}, "agents[0].tasks[0].component.id"},
		{[]ota.TaskSpec{{Component: ota.Component{Instance: long}}}, "agents[0].tasks[0].component.instance"},
		{[]ota.TaskSpec{{Component: ota.Component{Node: long}}}, "agents[0].tasks[0].component.node"},
		{[]ota.TaskSpec{{Component: ota.Component{Owner: long}}}, "agents[0].tasks[0].component.owner"},
		{[]ota.TaskSpec{{FromVersion: long}}, "agents[0].tasks[0].fromVersion"},
		{[]ota.TaskSpec{{FromRelease: "\xff"}}, "agents[0].tasks[0].fromRelease"},
		{[]ota.TaskSpec{{ToVersion: long}}, "agents[0].tasks[0].toVersion"},
		{[]ota.TaskSpec{{ToRelease: long}}, "agents[0].tasks[0].toRelease"},
	} {
		e, err := ota.New(memstore.New(), nil, ota.Options{})
		require.NoError(t, err)
		_, err = e.Create(t.Context(), ota.Spec{Name: "n", ToVersion: "2", Agents: listed([]ota.Agent{{ID: "a", Tasks: c.tasks}})})
		found := ota.FieldErrors(err)
		require.Len(t, found, 1, c.field)
		require.Equal(t, c.field, found[0].Field)
		require.NotEmpty(t, found[0].Allowed)
	}
	same := named("a", "a")
	same[1].Component.Instance = "2"
	for _, tasks := range [][]ota.TaskSpec{same, componentTasks(64), {{}}} {
		e, err := ota.New(memstore.New(), nil, ota.Options{})
		require.NoError(t, err)
		_, err = e.Create(t.Context(), ota.Spec{Name: "n", ToVersion: "2", Agents: listed([]ota.Agent{{ID: "a", Tasks: tasks}})})
		require.NoError(t, err)
	}
}

func TestTooManyNamesOfComponents(t *testing.T) {
	agents := make([]ota.Agent, 257)
	for i := range agents {
		agents[i] = ota.Agent{ID: fmt.Sprint(i), Tasks: []ota.TaskSpec{{Component: ota.Component{Name: fmt.Sprint("c", i)}}}}
	}
	e, err := ota.New(memstore.New(), nil, ota.Options{})
	require.NoError(t, err)
	_, err = e.Create(t.Context(), ota.Spec{Name: "n", ToVersion: "2", Agents: listed(agents)})
	require.ErrorContains(t, err, "256 at most")
	_, err = e.Create(t.Context(), ota.Spec{Name: "n", ToVersion: "2", Agents: listed(agents[1:])})
	require.NoError(t, err)
}
