package scenarios

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// before is where the version that an agent had before the plan is known from.
type before struct {
	spec, agent, task, precheck string // versions; empty: not given
}

// sources has each place that an outcome may come from. It makes the engine in which attempt 1 of
// agent a ends with this version, and each later attempt with the target's.
var sources = map[string]func(s *scene, id func() string, version, precheck string){
	"call": func(s *scene, _ func() string, version, precheck string) {
		s.useSame(s.answers(precheck, func(_ context.Context, a ota.Attempt) (ota.Result, error) {
			return ota.Result{Version: version}, nil
		}))
		s.run(s.e)
	},
	"report": func(s *scene, id func() string, version, precheck string) {
		s.useSame(s.answers(precheck, func(ctx context.Context, a ota.Attempt) (ota.Result, error) {
			<-ctx.Done()
			return ota.Result{}, ctx.Err()
		}))
		s.run(s.e)
		s.after(time.Minute)
		s.report(s.e, id(), ota.OutcomeReport{Agent: "a", Number: 1, Reason: ota.ReasonSucceeded, Version: version})
	},
	"repeat": func(s *scene, _ func() string, version, precheck string) {
		s.crash(precheck)
		s.useSame(s.answers(precheck, func(_ context.Context, a ota.Attempt) (ota.Result, error) {
			return ota.Result{Version: version}, nil
		}))
		s.run(s.e)
	},
	"inspection": func(s *scene, _ func() string, version, precheck string) {
		s.crash(precheck)
		s.fleet.inspect = func(ota.Attempt) (ota.Inspection, error) {
			return ota.Inspection{State: ota.InspectDone, Result: ota.Result{Version: version}}, nil
		}
		s.useSame(inspectedAnswers{s.answers(precheck, func(context.Context, ota.Attempt) (ota.Result, error) {
			return ota.Result{}, ota.Permanent(errors.New("it was not to be called"))
		})})
		s.run(s.e)
	},
	"report after a crash": func(s *scene, id func() string, version, precheck string) {
		s.crash(precheck)
		s.report(s.e, id(), ota.OutcomeReport{Agent: "a", Number: 1, Reason: ota.ReasonSucceeded, Version: version})
		s.run(s.e)
	},
}

// answering is an Executor and Prechecker for one agent.
type answering struct {
	*scripted
	precheck string
	first    func(context.Context, ota.Attempt) (ota.Result, error) // the answer to attempt 1
}

func (s *scene) answers(precheck string, first func(context.Context, ota.Attempt) (ota.Result, error)) answering {
	return answering{s.fleet, precheck, first}
}

func (x answering) Execute(ctx context.Context, a ota.Attempt) (ota.Result, error) {
	if a.Number == 1 {
		return x.first(ctx, a)
	}
	return ota.Result{Version: a.ToVersion}, nil
}

func (x answering) Precheck(context.Context, ota.Attempt) (ota.Precheck, error) {
	return ota.Precheck{Version: x.precheck}, nil
}

type inspectedAnswers struct{ answering }

func (x inspectedAnswers) Inspect(_ context.Context, a ota.Attempt) (ota.Inspection, error) {
	return x.inspect(a)
}

// useSame is use, with versions that may begin with a v.
func (s *scene) useSame(x ota.Executor) {
	s.e = s.engineOf(s.store, x, ota.Options{Name: "one", Poll: time.Minute, SameVersion: func(a, b string) bool {
		return strings.TrimPrefix(a, "v") == b
	}})
}

// crash loses the call of attempt 1 with its engine.
func (s *scene) crash(precheck string) {
	s.useSame(s.answers(precheck, func(ctx context.Context, a ota.Attempt) (ota.Result, error) {
		<-ctx.Done()
		return ota.Result{}, ctx.Err()
	}))
	stop := s.run(s.e)
	s.after(time.Minute)
	require.NoError(s, stop())
}

// An attempt that ends well, with the version that the agent had before, had no effect: it is tried
// again while a try remains, and fails then. A third version is final. That holds wherever the outcome
// and the version before come from.
func TestTheVersionBeforeMeansNotDone(t *testing.T) {
	known := map[string]before{
		"spec": {spec: "1"}, "agent": {spec: "0", agent: "1"}, "task": {spec: "0", task: "1"}, "precheck": {precheck: "1"},
		"agent, not precheck": {agent: "1", precheck: "1.5"}, "precheck, not agent": {agent: "1.5", precheck: "1"},
	}
	for from, ends := range sources {
		for how, b := range known {
			for _, c := range []struct {
				version string
				tries   int
				want    ota.TaskStatus
				calls   uint32
			}{
				{"1", 1, ota.TaskSucceeded, 2},
				{" 1\n", 1, ota.TaskSucceeded, 2},
				{"v1", 1, ota.TaskSucceeded, 2},
				{"1", 0, ota.TaskFailed, 1},
				{"3", 1, ota.TaskFailed, 1},
			} {
				t.Run(from+"/"+how+"/"+c.want.String(), func(t *testing.T) {
					inScene(t, func(s *scene) {
						agent := ota.Agent{ID: "a", Version: b.agent}
						if b.task != "" {
							agent.Tasks = []ota.TaskSpec{{FromVersion: b.task, ToVersion: "2"}}
						}
						p, err := s.e.Create(s.ctx, ota.Spec{
							Name: "x", FromVersion: b.spec, ToVersion: "2", Agents: func(yield func(ota.Agent, error) bool) { yield(agent, nil) },
							Policy: ota.Policy{FailureThreshold: ptr(1.0), Retry: ota.RetryPolicy{Max: c.tries, Backoff: time.Second}},
						})
						require.NoError(s, err)
						s.said(s.e.Start(s.ctx, p.ID, ota.Request{}))
						ends(s, func() string { return p.ID }, c.version, b.precheck)
						s.after(time.Hour)
						a := s.agent(p.ID, "a")
						require.Equal(s, c.want.String(), a.Status.String())
						require.EqualValues(s, c.calls, a.Tasks[0].Attempts)
						if c.want == ota.TaskFailed {
							require.Equal(s, ota.ReasonWrongVersion.String(), a.Tasks[0].Reason.String())
							require.Contains(s, a.Tasks[0].Error, "reports version")
						}
						s.status(p.ID, ota.StatusCompleted)
					})
				})
			}
		}
	}
}

// An agent that a Prechecker calls at the target is upgraded if it runs another version.
func TestAtTheTargetWithAnotherVersion(t *testing.T) {
	for version, calls := range map[string]int{"": 0, "2": 0, "2\n": 0, "1": 1, "3": 1} {
		inScene(t, func(s *scene) {
			s.use(asking{s.fleet, func(context.Context, ota.Attempt) (ota.Precheck, error) {
				return ota.Precheck{State: ota.PrecheckAtTarget, Version: version}, nil
			}})
			id := s.start(ota.Policy{}, ota.Shape{}, "ok-0")
			require.Equal(s, ota.StatusCompleted.String(), s.drive(id).Status.String())
			require.Len(s, s.fleet.made(""), calls, "version %q", version)
		})
	}
}
