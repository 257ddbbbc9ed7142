package ota

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sickFleet tells of agents whose IDs begin with sick that they are unhealthy, each after a time of its own.
type sickFleet struct{ SimFleetFunc }

func (sickFleet) SimulateHealth(a Attempt, _ time.Time) SimHealth {
	n, _ := strconv.Atoi(a.Agent[len(a.Agent)-3:])
	return SimHealth{Latency: time.Duration(n) * time.Second / 100, Health: Health{Healthy: !strings.HasPrefix(a.Agent, "sick")}}
}

func TestEveryAnswerAboutHealthCounts(t *testing.T) {
	one := 1.0
	policy := Policy{FailureThreshold: &one, Soak: Soak{Duration: time.Minute, Interval: time.Hour}}
	s := simSpec(policy, ids("sick", 100)...)
	s.Shape.Size = 100
	sim, err := Simulate(t.Context(), s, sickFleet{simFail}, SimOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if sim.Plan.Counts.Failed != 100 {
		t.Errorf("got %+v, want all 100 to have failed at their first question", sim.Plan.Counts)
	}
}

func TestPagesAreGivenBackAfterTheirQuestions(t *testing.T) {
	one := 1.0
	policy := Policy{FailureThreshold: &one, Concurrency: 500, Soak: Soak{Duration: time.Minute}}
	s := simSpec(policy, ids("ok", 8*pageSize)...)
	s.Shape.Size = pageSize
	x, err := newSimulator(t.Context(), sickFleet{simFail}, SimOptions{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	s.ID = "p"
	if err := x.begin(s); err != nil {
		t.Fatal(err)
	}
	if stop, err := x.run(); stop != SimEnded || err != nil {
		t.Fatal(stop, err)
	}
	if n := len(x.plans[0].session.st.rows.pages); n > 1 {
		t.Errorf("got %d pages held at the end, want 1 at most", n)
	}
}

// slowProber upgrades all but those whose IDs begin with fail, and takes half a minute to say that an agent is well.
type slowProber struct{}

func (slowProber) Execute(_ context.Context, a Attempt) (Result, error) {
	if strings.HasPrefix(a.Agent, "fail") {
		return Result{}, Permanent(errors.New("no"))
	}
	return Result{}, nil
}

func (slowProber) Health(context.Context, Attempt) (Health, error) {
	time.Sleep(30 * time.Second)
	return Health{Healthy: true}, nil
}

// A paused plan comes to rest although its batch was closed while its agents were being asked.
func TestARoundEndsWithItsBatch(t *testing.T) {
	inScene(t, func(s *scene) {
		s.use(slowProber{})
		p := Policy{Soak: Soak{Duration: 50 * time.Second, Interval: 10 * time.Second}}
		id := s.start(p, Shape{Size: 3}, "ok-1", "ok-2", "fail-1", "ok-3", "ok-4")
		rested := make(chan Plan, 1)
		go func() {
			plan, err := s.e.RunPlan(s.ctx, id)
			if err != nil {
				s.Error(err)
			}
			rested <- plan
		}()
		s.after(5 * time.Minute)
		select {
		case plan := <-rested:
			require.Equal(s, StatusPaused, plan.Status)
		default:
			s.Fatal("the plan is paused and nothing is out, but it is driven on")
		}
		require.Equal(s, BatchCompleted, s.batch(id, 0).Status)
		s.stays(id, StatusPaused)
		s.said(s.e.Resume(s.ctx, id, Accept(1), Request{}))
		s.drive(id)
		s.status(id, StatusCompleted)
	})
}
