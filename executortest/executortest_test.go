package executortest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/executortest"
	"github.com/seed-19b57ce3/ota/executortest/internal/brokenexecutor"
	"github.com/seed-19b57ce3/ota/otatest"
)

func to(agent string) func(ota.Attempt) ota.Attempt {
	return func(a ota.Attempt) ota.Attempt {
		a.Agent = agent
		return a
	}
}

// machines are the Options for brokenexecutor.Machines.
var machines = executortest.Options{
	Bound: time.Minute,
	Slow:  to("slow"),
	Version: func(x ota.Executor, agent string) (string, error) {
		return x.(*brokenexecutor.Machines).Version(agent), nil
	},
	Effects: func(x ota.Executor, agent string) (int, error) {
		return x.(*brokenexecutor.Machines).Effects(agent), nil
	},
	Provoke: map[ota.Reason]func(ota.Attempt) ota.Attempt{
		ota.ReasonError: to("fails"), ota.ReasonPermanent: to("broken"), ota.ReasonRejected: to("rejects"),
		ota.ReasonUnreachable: to("away"), ota.ReasonThrottled: to("busy"),
	},
}

func TestRunPassesAnExecutorWithoutAFault(t *testing.T) {
	executortest.Run(t, func(*testing.T) ota.Executor { return brokenexecutor.Good() }, machines)
}

func TestCheckNamesTheBrokenRule(t *testing.T) {
	for _, v := range brokenexecutor.Variants {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			opts := machines
			if v.Endless {
				opts.Bound = 200 * time.Millisecond
			}
			err := executortest.Check(t.Context(), func() (ota.Executor, error) { return v.New(), nil }, opts)
			if err == nil {
				t.Fatal("the executor passed")
			}
			if !strings.Contains(err.Error(), v.Rule) {
				t.Errorf("the executor was rejected, but not for %q:\n%v", v.Rule, err)
			}
		})
	}
}

func TestRunPassesTheFleet(t *testing.T) {
	newFleet := func(*testing.T) ota.Executor { return otatest.NewFleet(otatest.Options{Latency: time.Millisecond}) }
	executortest.Run(t, newFleet, executortest.Options{
		Bound: time.Minute,
		Slow:  to("hang-1"),
		Version: func(x ota.Executor, agent string) (string, error) {
			if v := x.(*otatest.Fleet).Version(agent); v != "" {
				return v, nil
			}
			return "1.0.0", nil
		},
		Effects: func(x ota.Executor, agent string) (int, error) { return x.(*otatest.Fleet).Effects(agent), nil },
		Provoke: map[ota.Reason]func(ota.Attempt) ota.Attempt{
			ota.ReasonError: to("fail-1"), ota.ReasonUnreachable: to("away-1"), ota.ReasonThrottled: to("busy-1"),
		},
	})
}

type wrapped struct{ ota.Executor }

func (w wrapped) Unwrap() ota.Executor { return w.Executor }

func TestRunThroughAWrapper(t *testing.T) {
	through := machines
	through.Wrap = func(x ota.Executor) ota.Executor { return &wrapped{wrapped{x}} }
	executortest.Run(t, func(*testing.T) ota.Executor { return brokenexecutor.Good() }, through)
}

type hiding struct{ ota.Executor }

func TestWrappersThatHideAreNamed(t *testing.T) {
	through := machines
	through.Wrap = func(x ota.Executor) ota.Executor { return hiding{x} }
	err := executortest.Check(t.Context(), func() (ota.Executor, error) { return brokenexecutor.Good(), nil }, through)
	for _, want := range []string{"hides ota.Prechecker, ota.Prober, ota.Inspector, ota.Gater of *brokenexecutor.Machines", "lost are [Prechecker Prober Inspector Gater]"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	through.Wrap = func(x ota.Executor) ota.Executor { return ota.ExecutorFunc(x.Execute) }
	err = executortest.Check(t.Context(), func() (ota.Executor, error) { return brokenexecutor.Good(), nil }, through)
	if err == nil || !strings.Contains(err.Error(), "lost are [Prechecker Prober Inspector Gater]") {
		t.Errorf("a function that captured an executor: got %v", err)
	}
}

// bare has no companions, and nothing of it can be observed.
type bare struct{ ota.Executor }

func (bare) Unwrap() ota.Executor { return nil }

func TestCheckSkipsWhatCannotBeSeen(t *testing.T) {
	newBare := func() (ota.Executor, error) { return bare{otatest.NewFleet(otatest.Options{})}, nil }
	if err := executortest.Check(t.Context(), newBare, executortest.Options{Agents: []string{"a"}}); err != nil {
		t.Error(err)
	}
}

func TestCheckReportsWhatNewExecutorReports(t *testing.T) {
	mine := errors.New("no agents")
	err := executortest.Check(t.Context(), func() (ota.Executor, error) { return nil, mine }, executortest.Options{})
	if !errors.Is(err, mine) {
		t.Errorf("got %v, want %v", err, mine)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := executortest.Check(ended, nil, executortest.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
