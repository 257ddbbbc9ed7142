package ota

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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

func (j jumpy) Execute(ctx context.Context, a Attempt) (Result, error) {
	j.jump("Execute")
	return j.scripted.Execute(ctx, a)
}

func (j jumpy) Precheck(context.Context, Attempt) (Precheck, error) {
	j.jump("Precheck")
	return Precheck{}, nil
}

func (j jumpy) Health(context.Context, Attempt) (Health, error) {
	j.jump("Health")
	return Health{Healthy: true}, nil
}

func (j jumpy) Gate(context.Context, Plan, Batch) (GateVerdict, error) {
	j.jump("Gate")
	return GatePass, nil
}

func (j jumpy) Resolve(context.Context, Spec, Agent) ([]TaskSpec, error) {
	j.jump("Resolve")
	return []TaskSpec{{}}, nil
}

// Whoever panics: readers of the plan see the value and the place, and no path; the host's log has the stack.
func TestPanicsOfUserCode(t *testing.T) {
	for _, at := range []string{"Execute", "Precheck", "Health", "Gate", "Resolve"} {
		t.Run(at, func(t *testing.T) {
			inScene(t, func(s *scene) {
				x := jumpy{scripted: s.fleet, at: at}
				var out bytes.Buffer
				s.e = s.engineOf(s.store, x, Options{Name: "one", Resolver: x, Logger: slog.New(slog.NewTextHandler(&out, nil))})
				spec := Spec{
					ID: "p", Name: "x", FromVersion: "1", ToVersion: "2", Agents: AgentIDs("ok-1"),
					Policy: Policy{FailureThreshold: ptr(1.0), Soak: Soak{Duration: time.Second}},
				}
				_, err := s.e.Create(s.ctx, spec)
				if at == "Resolve" {
					var p *PanicError
					require.ErrorAs(s, err, &p)
					require.Contains(s, err.Error(), "panic: broken Resolve (ota.jumpy.jump, panic_test.go:")
				} else {
					require.NoError(s, err)
					s.said(s.e.Start(s.ctx, "p", Request{}))
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
						require.Contains(s, told.String(), "panic: assignment to entry in nil map (ota.jumpy.jump, panic_test.go:")
					case "Precheck", "Gate":
						require.Contains(s, told.String(), "panic: broken "+at+" (ota.jumpy.jump, panic_test.go:")
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
		s.fleet.do = func(context.Context, Attempt) (Result, bool, error) { return Result{}, true, &faulty{} }
		p := s.drive(s.start(Policy{FailureThreshold: ptr(1.0)}, Shape{}, "a", "b"))
		require.Equal(s, StatusCompleted, p.Status)
		require.Equal(s, ReasonPanic, s.agent(p.ID, "a").Tasks[0].Reason)
	})
}
