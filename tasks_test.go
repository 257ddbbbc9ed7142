package ota

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tasked makes agents with the components that componentTasks tells.
func tasked(n int, ids ...string) []Agent {
	agents := make([]Agent, len(ids))
	for i, id := range ids {
		agents[i] = Agent{ID: id, Tasks: componentTasks(n)}
	}
	return agents
}

// startTasks starts a plan of agents with tasks.
func (s *scene) startTasks(p Policy, agents ...Agent) string {
	s.Helper()
	plan, err := s.e.Create(s.ctx, Spec{Name: "test", FromVersion: "1", ToVersion: "2", Agents: listed(agents), Policy: p})
	require.NoError(s, err)
	_, err = s.e.Start(s.ctx, plan.ID, Request{Actor: "ann"})
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
	s.fleet.do = func(_ context.Context, a Attempt) (Result, bool, error) {
		if !a.IsRollback && a.Component.Name == component {
			return Result{}, true, err
		}
		return Result{}, false, nil
	}
}

func TestTasksAreDoneInOrder(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.startTasks(Policy{Concurrency: 1}, tasked(3, "a", "b")...)
		p := s.plan(id)
		require.Equal(s, []int{2, 6}, []int{p.Counts.Pending, p.Tasks.Pending})
		require.Equal(s, []string{"c0", "c1", "c2"}, p.Components)
		p = s.drive(id)
		require.Equal(s, StatusCompleted, p.Status)
		require.Equal(s, []string{"a c0 1>2", "a c1 1.1>2.1", "a c2 1.2>2.2", "b c0 1>2", "b c1 1.1>2.1", "b c2 1.2>2.2"}, s.told(""))
		require.Equal(s, 1, s.fleet.most, "one slot for each agent, one task at a time")
		require.Equal(s, []int{2, 6}, []int{p.Counts.Succeeded, p.Tasks.Succeeded})
		task := s.agent(id, "b").Tasks[2]
		require.Equal(s, []string{"c2", "i2", "1.2", "2.2"}, []string{task.Component.Name, task.Component.Instance, task.From, task.Target})
		require.True(s, task.Changed)
		require.Len(s, s.events(id, EventTaskStarted), 6)
	})
}

func TestAnAgentFailsOnceAndGoesOnAtTheFailedTask(t *testing.T) {
	inScene(t, func(s *scene) {
		s.failing("c1", Permanent(errors.New("no")))
		id := s.startTasks(Policy{FailureThreshold: ptr(0.0)}, tasked(3, "a")...)
		p := s.drive(id)
		require.Equal(s, StatusPaused, p.Status)
		require.Equal(s, 1, p.Counts.Failed)
		require.Equal(s, Counts{Succeeded: 1, Failed: 1, Skipped: 1}, p.Tasks)
		require.Equal(s, ReasonAgentFailed, s.agent(id, "a").Tasks[2].Reason)

		s.fleet.do = nil
		_, err := s.e.Resume(s.ctx, id, RetryFailed(), Request{})
		require.NoError(s, err)
		require.Equal(s, StatusCompleted, s.drive(id).Status)
		require.Equal(s, []string{"a c0 1>2", "a c1 1.1>2.1", "a c1 1.1>2.1", "a c2 1.2>2.2"}, s.told("a"), "what is done is not done again")
	})
}

func TestARollbackTakesTasksBackInReverse(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(_ context.Context, a Attempt) (Result, bool, error) {
			switch {
			case a.IsRollback:
				return Result{}, false, nil
			case a.Component.Name == "c1":
				return Result{Unchanged: true}, true, nil
			case a.Component.Name == "c2":
				return Result{}, true, Permanent(errors.New("no"))
			}
			return Result{}, false, nil
		}
		id := s.startTasks(Policy{FailureThreshold: ptr(0.0), OnBreach: ActionRollback}, tasked(4, "a")...)
		s.drive(id)
		r := s.drive(s.plan(id).RollbackPlan)
		require.Equal(s, StatusCompleted, r.Status)
		require.Equal(s, []string{"a c2 2.2>1.2", "a c0 2>1"}, s.told("a")[3:], "c1 was not changed, c3 not begun")
		require.Equal(s, []int{1, 2}, []int{r.Counts.Succeeded, r.Tasks.Succeeded})
	})
}

func TestATaskInFlightThatChangedNothingIsNotTakenBack(t *testing.T) {
	for name, c := range map[string]struct {
		answer error
		back   []string
	}{
		"it changed nothing":     {Unchanged(Permanent(errors.New("refused"))), []string{"a c0 2>1"}},
		"it may have changed it": {Permanent(errors.New("no")), []string{"a c1 2.1>1.1", "a c0 2>1"}},
	} {
		t.Run(name, func(t *testing.T) {
			inScene(t, func(s *scene) {
				s.failing("c1", nil)
				inner := s.fleet.do
				s.fleet.do = func(ctx context.Context, a Attempt) (Result, bool, error) {
					if _, mine, _ := inner(ctx, a); mine {
						return Result{}, true, errors.Join(nap(ctx, time.Minute), c.answer)
					}
					return Result{}, false, nil
				}
				id := s.startTasks(Policy{FailureThreshold: ptr(1.0)}, tasked(2, "a")...)
				s.run(s.e)
				s.after(10 * time.Second) // c0 is done, c1 is in flight
				r, err := s.e.Rollback(s.ctx, id, RollbackSpec{}, Request{})
				require.NoError(s, err)
				require.Equal(s, 2, r.Tasks.Pending, "nobody knows yet")
				s.after(5 * time.Minute)
				s.status(r.ID, StatusCompleted)
				require.Equal(s, c.back, s.told("a")[2:])
			})
		})
	}
}

// The outcome of one task and the start of the next are one commit. When nobody knows whether that landed, the next task is
// called all the same.
func TestTheNextTaskIsCalledAfterALostAcknowledgement(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(_ context.Context, a Attempt) (Result, bool, error) {
			if a.Task == 0 {
				s.store.ack.Store(1)
			}
			return Result{}, false, nil
		}
		id := s.startTasks(Policy{}, tasked(2, "a")...)
		s.run(s.e)
		s.after(time.Minute)
		s.status(id, StatusCompleted)
		require.Len(s, s.fleet.made("a"), 2)
	})
}

func TestAnAgentBetweenTwoTasksMayBeSkipped(t *testing.T) {
	inScene(t, func(s *scene) {
		id := s.startTasks(Policy{}, tasked(3, "a")...)
		s.run(s.e)
		s.after(time.Second / 2)
		_, err := s.e.Pause(s.ctx, id, Request{})
		require.NoError(s, err)
		s.after(time.Minute)
		require.Equal(s, TaskWaiting, s.agent(id, "a").Status)
		require.Contains(s, strings.Join(s.reasons(id), " "), "paused")
		_, err = s.e.Skip(s.ctx, id, []string{"a"}, Request{Actor: "ann"})
		require.NoError(s, err)
		_, err = s.e.Resume(s.ctx, id, Decision{}, Request{})
		require.NoError(s, err)
		s.after(time.Minute)
		s.status(id, StatusCompleted)
		a := s.agent(id, "a")
		require.Equal(s, TaskSkipped, a.Status)
		require.True(s, a.Changed)
		require.Equal(s, []TaskStatus{TaskSucceeded, TaskSkipped, TaskSkipped}, []TaskStatus{a.Tasks[0].Status, a.Tasks[1].Status, a.Tasks[2].Status})
		require.Len(s, s.fleet.made("a"), 1)
	})
}

// A report about a task that is done says nothing of the call that is out for the next one, whose number is the same.
func TestAReportOfADoneTaskEndsNoOtherCall(t *testing.T) {
	inScene(t, func(s *scene) {
		s.use(Async(func(context.Context, Attempt) error { return nil }))
		id := s.startTasks(Policy{}, tasked(2, "a")...)
		s.run(s.e)
		report := func(task int) {
			s.after(time.Second)
			require.NoError(s, s.e.ReportOutcomes(s.ctx, id, []OutcomeReport{{Agent: "a", Task: task, Number: 1, Reason: ReasonSucceeded}}))
			s.after(time.Second)
		}
		report(0)
		report(0)
		require.Equal(s, TaskRunning, s.agent(id, "a").Tasks[1].Status)
		report(1)
		s.status(id, StatusCompleted)
		require.Equal(s, 1, s.agent(id, "a").Tasks[1].Attempts)
	})
}

func TestResolver(t *testing.T) {
	inScene(t, func(s *scene) {
		var asked []string
		resolve := ResolverFunc(func(_ context.Context, spec Spec, a Agent) ([]TaskSpec, error) {
			asked = append(asked, spec.Name+" "+a.ID)
			if a.ID == "plain" {
				return []TaskSpec{{}}, nil
			}
			return componentTasks(2), nil
		})
		s.e = s.engineOf(s.store, s.fleet, Options{Name: "one", Resolver: resolve})
		spec := Spec{
			Name: "r", FromVersion: "1", ToVersion: "2", Policy: Policy{FailureThreshold: ptr(1.0)},
			Agents: listed([]Agent{{ID: "fail-1"}, {ID: "plain"}, {ID: "own", Tasks: componentTasks(1)}}),
		}
		p, err := s.e.Create(s.ctx, spec)
		require.NoError(s, err)
		require.Equal(s, []string{"r fail-1", "r plain"}, asked, "once for each agent that brings no tasks")
		all := s.agents(p.ID)
		require.Equal(s, []int{2, 1, 1}, []int{len(all["fail-1"].Tasks), len(all["plain"].Tasks), len(all["own"].Tasks)})
		require.Zero(s, all["plain"].Tasks[0].Component)

		_, err = s.e.Start(s.ctx, p.ID, Request{})
		require.NoError(s, err)
		s.drive(p.ID)
		require.Len(s, asked, 2, "the answer is stored")
		failed, err := s.e.FailedSpec(s.ctx, p.ID)
		require.NoError(s, err)
		for a, err := range failed.Agents {
			require.NoError(s, err)
			require.Equal(s, componentTasks(2), a.Tasks)
		}

		view, err := s.e.Preview(s.ctx, spec, PreviewOptions{})
		require.NoError(s, err)
		require.Equal(s, 3, view.Agents)
	})
}

func TestResolverThatFails(t *testing.T) {
	broken := errors.New("no inventory")
	for name, c := range map[string]struct {
		resolve func() ([]TaskSpec, error)
		is      error
		says    string
	}{
		"error": {func() ([]TaskSpec, error) { return nil, broken }, broken, `the tasks of "a": no inventory`},
		"panic": {func() ([]TaskSpec, error) { panic("broken") }, nil, "broken"},
		"none":  {func() ([]TaskSpec, error) { return nil, nil }, ErrInvalid, "agents[0].tasks are none"},
	} {
		t.Run(name, func(t *testing.T) {
			store := NewMemStore()
			e, err := New(store, nil, Options{Resolver: ResolverFunc(func(context.Context, Spec, Agent) ([]TaskSpec, error) { return c.resolve() })})
			require.NoError(t, err)
			_, err = e.Create(t.Context(), Spec{ID: "p", Name: "n", ToVersion: "2", Agents: AgentIDs("a")})
			require.ErrorContains(t, err, c.says)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
			_, err = e.Plan(t.Context(), "p")
			require.ErrorIs(t, err, ErrNotFound, "nothing is left behind")
		})
	}
}

func TestTasksThatAreRefused(t *testing.T) {
	named := func(names ...string) (tasks []TaskSpec) {
		for _, n := range names {
			tasks = append(tasks, TaskSpec{Component: Component{Name: n}})
		}
		return tasks
	}
	long := strings.Repeat("x", 256)
	for _, c := range []struct {
		tasks []TaskSpec
		field string
	}{
		{[]TaskSpec{}, "agents[0].tasks"},
		{componentTasks(65), "agents[0].tasks"},
		{named("a", ""), "agents[0].tasks[1].component.name"},
		{named("a", "b", "a"), "agents[0].tasks[2].component"},
		{named(long), "agents[0].tasks[0].component.name"},
		{[]TaskSpec{{Component: Component{ID: "\x00"}}}, "agents[0].tasks[0].component.id"},
		{[]TaskSpec{{Component: Component{Instance: long}}}, "agents[0].tasks[0].component.instance"},
		{[]TaskSpec{{Component: Component{Node: long}}}, "agents[0].tasks[0].component.node"},
		{[]TaskSpec{{Component: Component{Owner: long}}}, "agents[0].tasks[0].component.owner"},
		{[]TaskSpec{{FromVersion: long}}, "agents[0].tasks[0].fromVersion"},
		{[]TaskSpec{{FromRelease: "\xff"}}, "agents[0].tasks[0].fromRelease"},
		{[]TaskSpec{{ToVersion: long}}, "agents[0].tasks[0].toVersion"},
		{[]TaskSpec{{ToRelease: long}}, "agents[0].tasks[0].toRelease"},
	} {
		e, err := New(NewMemStore(), nil, Options{})
		require.NoError(t, err)
		_, err = e.Create(t.Context(), Spec{Name: "n", ToVersion: "2", Agents: listed([]Agent{{ID: "a", Tasks: c.tasks}})})
		found := FieldErrors(err)
		require.Len(t, found, 1, c.field)
		require.Equal(t, c.field, found[0].Field)
		require.NotEmpty(t, found[0].Allowed)
	}
	same := named("a", "a")
	same[1].Component.Instance = "2"
	for _, tasks := range [][]TaskSpec{same, componentTasks(64), {{}}} {
		e, err := New(NewMemStore(), nil, Options{})
		require.NoError(t, err)
		_, err = e.Create(t.Context(), Spec{Name: "n", ToVersion: "2", Agents: listed([]Agent{{ID: "a", Tasks: tasks}})})
		require.NoError(t, err)
	}
}

func TestTooManyNamesOfComponents(t *testing.T) {
	agents := make([]Agent, 257)
	for i := range agents {
		agents[i] = Agent{ID: fmt.Sprint(i), Tasks: []TaskSpec{{Component: Component{Name: fmt.Sprint("c", i)}}}}
	}
	e, err := New(NewMemStore(), nil, Options{})
	require.NoError(t, err)
	_, err = e.Create(t.Context(), Spec{Name: "n", ToVersion: "2", Agents: listed(agents)})
	require.ErrorContains(t, err, "256 at most")
	_, err = e.Create(t.Context(), Spec{Name: "n", ToVersion: "2", Agents: listed(agents[1:])})
	require.NoError(t, err)
}

// What a TaskSpec leaves out is its agent's, else its plan's.
func TestTaskSpecDefaults(t *testing.T) {
	plan := PlanSpec{FromVersion: "1", FromRelease: "r1", ToVersion: "2", ToRelease: "r2"}
	for _, c := range []struct {
		agent AgentSpec
		want  TaskSpec
	}{
		{AgentSpec{}, TaskSpec{FromVersion: "1", FromRelease: "r1", ToVersion: "2", ToRelease: "r2"}},
		{AgentSpec{Version: "0"}, TaskSpec{FromVersion: "0", FromRelease: "r1", ToVersion: "2", ToRelease: "r2"}},
		{AgentSpec{Target: "0"}, TaskSpec{FromVersion: "1", FromRelease: "r1", ToVersion: "0", ToRelease: "r2"}},
		{AgentSpec{Version: "0", Tasks: []TaskSpec{{FromVersion: "7", ToVersion: "8"}}}, TaskSpec{FromVersion: "7", ToVersion: "8"}},
		{AgentSpec{Tasks: []TaskSpec{{ToRelease: "x"}}}, TaskSpec{FromVersion: "1", FromRelease: "r1", ToVersion: "2", ToRelease: "x"}},
	} {
		require.Equal(t, c.want, plan.task(&c.agent, 0))
		require.Equal(t, c.want.ToVersion, plan.target(&c.agent, 0))
	}
}

// listed yields agents.
func listed(agents []Agent) iter.Seq2[Agent, error] {
	return func(yield func(Agent, error) bool) {
		for _, a := range agents {
			if !yield(a, nil) {
				return
			}
		}
	}
}
