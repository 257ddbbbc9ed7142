package main

import (
	"testing"

	"github.com/seed-19b57ce3/ota"
)

// An agent whose own answer contradicts its record must be found.
func TestDisagreement(t *testing.T) {
	at := func(version string, pid int) answer { return answer{"a", identity{Version: version, PID: pid}} }
	before := at("1", 7)
	for _, c := range []struct {
		name    string
		status  ota.TaskStatus
		touched bool
		now     answer
		agrees  bool
	}{
		{"upgraded", ota.TaskSucceeded, true, at("2", 8), true},
		{"upgraded on record only", ota.TaskSucceeded, true, at("1", 7), false},
		{"upgraded to something else", ota.TaskSucceeded, true, at("3", 8), false},
		{"upgraded, and gone since", ota.TaskSucceeded, true, at("", 0), false},
		{"failed and down", ota.TaskFailed, true, at("", 0), true},
		{"failed on record only", ota.TaskFailed, true, at("2", 8), false},
		{"left alone", ota.TaskPending, false, at("1", 7), true},
		{"left alone on record only", ota.TaskPending, false, at("2", 8), false},
		{"restarted in secret", ota.TaskPending, false, at("1", 8), false},
		{"cut off when it was done", ota.TaskWaiting, true, at("2", 8), true},
		{"cut off before", ota.TaskWaiting, true, at("1", 8), true},
		{"at work", ota.TaskRunning, true, at("2", 8), false},
	} {
		r := ota.AgentInfo{ID: "a", Version: "1", Status: c.status, Changed: c.touched, Tasks: []ota.Task{{Target: "2"}}}
		if got := disagreement(r, c.now, before); (len(got) == 0) != c.agrees {
			t.Errorf("%s: disagreements %q", c.name, got)
		}
	}
}

// An attempt may be interrupted before it installs anything. Its agent is taken back all the same, and
// is found at the target: the earlier version.
func TestAgreementAtTheTarget(t *testing.T) {
	r := ota.AgentInfo{ID: "a", Version: "2", Status: ota.TaskSucceeded, AtTarget: true, Tasks: []ota.Task{{Target: "1"}}}
	same := answer{"a", identity{Version: "1", PID: 7}}
	if got := disagreement(r, same, same); len(got) > 0 {
		t.Errorf("disagreements %q", got)
	}
	other := answer{"a", identity{Version: "3", PID: 7}}
	if got := disagreement(r, other, other); len(got) == 0 {
		t.Error("an agent that runs a third version agrees")
	}
}

// Whatever the fleet's size, there are enough old machines for some batch to fail.
func TestDealOld(t *testing.T) {
	for agents := 1; agents <= 60; agents++ {
		for batch := 1; batch <= 25; batch++ {
			old, breach := dealOld(agents, batch, uint64(agents*batch)), false
			for first := 0; first < agents; first += batch {
				failed, size := 0, min(batch, agents-first)
				for _, o := range old[first : first+size] {
					if o {
						failed++
					}
				}
				breach = breach || failed > ota.Tolerated(0.1, size)
			}
			if !breach {
				t.Fatalf("%d agents in batches of %d would never breach", agents, batch)
			}
		}
	}
}

// The line of the whole plan adds up its batches, also those that have not begun.
func TestPlanLine(t *testing.T) {
	s := &progress{out: &output{}, plan: ota.Plan{Agents: 6, ToVersion: "2"}, batches: []batchView{
		{ota.Batch{Size: 3}, map[string]ota.TaskStatus{"a": ota.TaskSucceeded, "b": ota.TaskFailed, "c": ota.TaskRunning}},
		{ota.Batch{Index: 1, Size: 3}, map[string]ota.TaskStatus{}},
	}}
	if got, want := s.planText(), "plan     ■✗▪···  1 of 6 at 2, 1 failed"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
