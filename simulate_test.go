package ota

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// simFail fails the agents whose IDs begin with fail, but for rollbacks.
var simFail = SimFleetFunc(func(a Attempt, _ time.Time) SimCall {
	c := SimCall{Latency: time.Minute, Result: Result{Version: a.ToVersion}}
	if strings.HasPrefix(a.Agent, "fail") && !a.Rollback {
		c.Err = errors.New("no")
	}
	return c
})

func simSpec(policy Policy, agents ...string) Spec {
	return Spec{Name: "x", FromVersion: "1", ToVersion: "2", Agents: AgentIDs(agents...), Policy: policy}
}

func TestABreachRollsBackByItself(t *testing.T) {
	policy := Policy{OnBreach: ActionRollback}
	s, err := Simulate(t.Context(), simSpec(policy, append(ids("ok", 12), ids("fail", 8)...)...), simFail, SimOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Plan.Status != StatusRolledBack || s.Stop != SimEnded {
		t.Errorf("got %s, stopped because %s\n%s", s.Plan.Status, s.Stop, s)
	}
	if s.Rollback == nil || s.Rollback.Counts.Succeeded != s.Plan.Touched {
		t.Errorf("got rollback plan %+v, want it to have taken back %d agents", s.Rollback, s.Plan.Touched)
	}
}
