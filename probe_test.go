package ota

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// sickFleet tells of agents whose IDs begin with sick that they are unhealthy, each after a time of its own.
type sickFleet struct{ SimFleetFunc }

func (sickFleet) SimulateHealth(a Attempt, _ time.Time) SimHealth {
	n, _ := strconv.Atoi(a.Agent[len(a.Agent)-3:])
	return SimHealth{Latency: time.Duration(n) * time.Second / 100, Health: Health{Healthy: !strings.HasPrefix(a.Agent, "sick")}}
}

func TestEveryAnswerAboutHealthCounts(t *testing.T) {
	one := 1.0
	policy := Policy{FailureThreshold: &one, Observe: Observe{Wait: time.Minute, Probe: time.Hour}}
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
	policy := Policy{FailureThreshold: &one, Concurrency: 500, Observe: Observe{Wait: time.Minute}}
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
