package scenarios

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// jumpy is an executor that panics wherever it is asked, in the way of its agent.
type jumpy struct {
	*scripted
	at   string
	none map[string]int // nil: a write to it is a panic of the runtime
}

func (j jumpy) jump(at string) {
	if at != j.at {
		return
	}
	switch j.at {
	case "Execute":
		j.none["x"] = 1
	default:
		panic(fmt.Errorf("broken %s", at))
	}
}

func (j jumpy) Execute(ctx context.Context, a ota.Attempt) (ota.Result, error) {
	j.jump("Execute")
	return j.scripted.Execute(ctx, a)
}

func (j jumpy) Precheck(context.Context, ota.Attempt) (ota.Precheck, error) {
	j.jump("Precheck")
	return ota.Precheck{}, nil
}

func (j jumpy) Health(context.Context, ota.Attempt) (ota.Health, error) {
	j.jump("Health")
	return ota.Health{Healthy: true}, nil
}

func (j jumpy) Gate(context.Context, ota.Plan, ota.Batch) (ota.GateVerdict, error) {
	j.jump("Gate")
	return ota.GatePass, nil
}

func (j jumpy) Resolve(context.Context, ota.Spec, ota.Agent) ([]ota.TaskSpec, error) {
	j.jump("Resolve")
	return []ota.TaskSpec{{}}, nil
}

// Whoever panics: readers of the plan see the value and the place, and no path; the host's log has the stack.
func TestPanicsOfUserCode(t *testing.T) {
	for _, at := range []string{"Execute", "Precheck", "Health", "Gate", "Resolve"} {
		t.Run(at, func(t *testing.T) {
			inScene(t, func(s *scene) {
				x := jumpy{scripted: s.fleet, at: at}
				var out bytes.Buffer
				s.e = s.engineOf(s.store, x, ota.Options{Name: "one", Resolver: x, Logger: slog.New(slog.NewTextHandler(&out, nil))})
				spec := ota.Spec{
					ID: "p", Name: "x", FromVersion: "1", ToVersion: "2", Agents: ota.AgentIDs("ok-1"),
					Policy: ota.Policy{FailureThreshold: ptr(1.0), Soak: ota.Soak{Duration: time.Second}},
				}
				_, err := s.e.Create(s.ctx, spec)
				if at == "Resolve" {
					var p *ota.PanicError
					require.ErrorAs(s, err, &p)
					require.Contains(s, err.Error(), "panic: broken Resolve (scenarios.jumpy.jump, panic_test.go:")
				} else {
					require.NoError(s, err)
					s.said(s.e.Start(s.ctx, "p", ota.Request{}))
					s.run(s.e)
					s.after(10 * time.Second)
					var told strings.Builder
					for _, r := range s.log("p") {
						fmt.Fprintln(&told, r.Events)
					}
					fmt.Fprintln(&told, s.agents("p"), s.explain("p"))
					require.NotContains(s, told.String(), "/panic_test.go")
					require.NotContains(s, told.String(), "goroutine")
					switch at {
					case "Execute":
						require.Contains(s, told.String(), "panic: assignment to entry in nil map (scenarios.jumpy.jump, panic_test.go:")
					case "Precheck", "Gate":
						require.Contains(s, told.String(), "panic: broken "+at+" (scenarios.jumpy.jump, panic_test.go:")
					}
				}
				require.Contains(s, out.String(), "user code panicked")
				require.Contains(s, out.String(), "/panic_test.go:")
			})
		})
	}
}

// An error whose methods panic is a panic of the executor, and ends nothing else.
func TestErrorThatPanicsInAPlan(t *testing.T) {
	inScene(t, func(s *scene) {
		s.fleet.do = func(context.Context, ota.Attempt) (ota.Result, bool, error) { return ota.Result{}, true, &faulty{} }
		p := s.drive(s.start(ota.Policy{FailureThreshold: ptr(1.0)}, ota.Shape{}, "a", "b"))
		require.Equal(s, ota.StatusCompleted, p.Status)
		require.Equal(s, ota.ReasonPanic, s.agent(p.ID, "a").Tasks[0].Reason)
	})
}
