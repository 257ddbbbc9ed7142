package main

import (
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Agents that go silent or become sick after their success stop a plan in its first batch.
func TestAgentsThatTurnBadLater(t *testing.T) {
	t.Parallel()
	s := start(t, "-addr", "127.0.0.1:0", "-open", "-latency", "1ms", "-sick-after", "20ms")
	c := s.client(t, "T")
	for agent, want := range map[string]ota.Reason{"silent-1": ota.ReasonSilent, "late-1": ota.ReasonUnhealthy} {
		p, err := c.Create(t.Context(), ota.Spec{
			Name: agent, FromVersion: "1", ToVersion: "2", ToRelease: "2", Agents: ota.AgentIDs(agent, "ok-"+agent), Shape: ota.Shape{Size: 1},
			Policy: ota.Policy{Soak: ota.Soak{Duration: 100 * time.Millisecond, Interval: 10 * time.Millisecond}},
		})
		if err == nil {
			_, err = c.Start(t.Context(), p.ID, ota.Request{})
		}
		if err != nil {
			t.Fatal(err)
		}
		sum, err := c.Summary(t.Context(), p.ID)
		for began := time.Now(); err == nil && sum.Status != ota.StatusPaused && time.Since(began) < time.Minute; time.Sleep(10 * time.Millisecond) {
			sum, err = c.Summary(t.Context(), p.ID)
		}
		if err != nil || sum.Status != ota.StatusPaused || sum.FailedCount != 1 || sum.PendingCount != 1 {
			t.Errorf("%s: got %+v, %v", agent, sum, err)
		}
		for task, err := range c.Tasks(t.Context(), p.ID, ota.TaskFailed) {
			if err != nil || task.AgentID != agent || task.Reason != want {
				t.Errorf("got %+v, %v, want the reason %s", task, err, want)
			}
		}
	}
	s.stop(t)
}
