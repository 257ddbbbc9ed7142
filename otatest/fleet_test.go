package otatest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/otatest"
)

func attempt(agent string, number int) ota.Attempt {
	return ota.Attempt{Plan: "p", Agent: agent, Number: number, FromVersion: "1.0", ToVersion: "2.0"}
}

func TestIDs(t *testing.T) {
	if got, want := otatest.IDs("ok-", 10), "ok-01"; len(got) != 10 || got[0] != want || got[9] != "ok-10" || !slices.IsSorted(got) {
		t.Errorf("got %v", got)
	}
	if got := otatest.IDs("ok-", -1); len(got) != 0 {
		t.Errorf("of -1: got %v", got)
	}
}

func TestBehaviourOf(t *testing.T) {
	for b := otatest.OK; b <= otatest.Late; b++ {
		if got := otatest.BehaviourOf(b.String() + "-7"); got != b {
			t.Errorf("%s-7 behaves as %s", b, got)
		}
	}
	for _, id := range []string{"fail", "failing-1", "server-fail-1", ""} {
		if got := otatest.BehaviourOf(id); got != otatest.OK {
			t.Errorf("%q behaves as %s, want ok", id, got)
		}
	}
}

func TestAKeyHasOneEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fleet := otatest.NewFleet(otatest.Options{Latency: time.Minute})
		var wg sync.WaitGroup
		for epoch := range 5 {
			wg.Go(func() {
				a := attempt("ok-1", 1)
				a.Epoch = uint64(epoch)
				res, err := fleet.Execute(t.Context(), a)
				if err != nil || res.Version != "2.0" || res.Unchanged {
					t.Errorf("epoch %d: got %+v, %v", epoch, res, err)
				}
			})
		}
		wg.Wait()
		calls := fleet.Calls()
		if n := fleet.Effects("ok-1"); n != 1 || len(calls) != 5 {
			t.Errorf("got %d effects of %d calls, want 1 of 5", n, len(calls))
		}
		for _, c := range calls {
			if c.End.Sub(c.Start) != time.Minute {
				t.Errorf("the call of epoch %d took %v", c.Attempt.Epoch, c.End.Sub(c.Start))
			}
		}
	})
}

func TestACallThatIsCutShortHasNoEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fleet := otatest.NewFleet(otatest.Options{Latency: time.Minute})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := fleet.Execute(ctx, attempt("ok-1", 1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		if v := fleet.Version("ok-1"); v != "1.0" {
			t.Errorf("the agent runs %s", v)
		}
		found, _ := fleet.Inspect(t.Context(), attempt("ok-1", 1))
		if found.State != ota.InspectUnknown {
			t.Errorf("Inspect says %+v", found)
		}
		if _, err := fleet.Execute(t.Context(), attempt("ok-1", 1)); err != nil || fleet.Effects("ok-1") != 1 {
			t.Errorf("the repeat: got %v, %d effects", err, fleet.Effects("ok-1"))
		}
	})
}

func TestReleaseLetsStuckCallsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fleet := otatest.NewFleet(otatest.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		time.AfterFunc(time.Hour, fleet.Release)
		start := time.Now()
		_, err := fleet.Execute(ctx, attempt("stuck-1", 1))
		if err == nil || time.Since(start) != time.Hour {
			t.Errorf("got %v after %v, want an error after an hour", err, time.Since(start))
		}
		fleet.Release()
		if _, err := fleet.Execute(ctx, attempt("stuck-2", 1)); err == nil {
			t.Error("got no error of a call that begins after Release")
		}
	})
}

func TestSetOverridesTheID(t *testing.T) {
	fleet := otatest.NewFleet(otatest.Options{})
	fleet.Set("ok-1", otatest.Fail)
	fleet.Set("fail-1", otatest.OK)
	fleet.SetRollback("ok-2", otatest.Away)
	fleet.SetVersion("ok-3", "2.0")
	ctx := t.Context()
	if _, err := fleet.Execute(ctx, attempt("ok-1", 1)); ota.ReasonOf(err) != ota.ReasonError {
		t.Errorf("ok-1: got %v", err)
	}
	if _, err := fleet.Execute(ctx, attempt("fail-1", 1)); err != nil {
		t.Errorf("fail-1: got %v", err)
	}
	back := attempt("ok-2", 1)
	back.IsRollback = true
	if _, err := fleet.Execute(ctx, back); ota.ReasonOf(err) != ota.ReasonUnreachable {
		t.Errorf("ok-2, in a rollback: got %v", err)
	}
	if res, err := fleet.Execute(ctx, attempt("ok-3", 1)); err != nil || !res.Unchanged {
		t.Errorf("ok-3: got %+v, %v, want it unchanged", res, err)
	}
	if got := fleet.Versions(); len(got) != 4 || got["fail-1"] != "2.0" || got["ok-1"] != "1.0" {
		t.Errorf("got versions %v", got)
	}
}

func TestRollbackPlansSucceed(t *testing.T) {
	fleet := otatest.NewFleet(otatest.Options{})
	for b := otatest.OK; b <= otatest.Late; b++ {
		a := attempt(b.String()+"-1", 1)
		a.FromVersion, a.ToVersion, a.IsRollback = "2.0", "1.0", true
		res, err := fleet.Execute(t.Context(), a)
		if err != nil || res.Version != "1.0" || res.Unchanged {
			t.Errorf("%s: got %+v, %v", a.Agent, res, err)
		}
		if h, err := fleet.Health(t.Context(), a); err != nil || !h.Healthy {
			t.Errorf("%s: got %+v, %v", a.Agent, h, err)
		}
	}
}

func TestTheSeedDecidesTheJitter(t *testing.T) {
	timeline := func(seed uint64) string {
		fleet := otatest.NewFleet(otatest.Options{Latency: time.Minute, Jitter: 0.5, Seed: seed})
		sim, err := otatest.Simulate(spec(careful(), otatest.IDs("ok-", 20)...), fleet)
		if err != nil {
			t.Fatal(err)
		}
		return sim.String()
	}
	if a, b := timeline(1), timeline(1); a != b {
		t.Errorf("the same seed gives\n%s\nand\n%s", a, b)
	}
	if timeline(1) == timeline(2) {
		t.Error("two seeds give the same timeline")
	}
}

func TestASimulationKnowsThePresentVersions(t *testing.T) {
	fleet := otatest.NewFleet(otatest.Options{})
	for _, id := range otatest.IDs("ok-", 4) {
		fleet.SetVersion(id, "2.0")
	}
	sim, err := otatest.Simulate(spec(careful(), otatest.IDs("ok-", 9)...), fleet)
	if err != nil {
		t.Fatal(err)
	}
	if sim.Plan.Counts.AtTarget != 4 || sim.Plan.Changed != 5 {
		t.Errorf("got %d at the target and %d touched, want 4 and 5", sim.Plan.Counts.AtTarget, sim.Plan.Changed)
	}
}
