package harness

import (
	"slices"

	"github.com/seed-19b57ce3/ota"
)

// judgeBudgets checks that no agent takes a place that a budget does not have. It reads from the tasks
// which agents are down: one that a task may have changed, and that has not succeeded since, or that
// is unhealthy.
func (c *CheckedStore) judgeBudgets(was, is *Snapshot, rec ota.Record, wrong wrongFunc) {
	for _, b := range was.row.Control.Policy.Budgets {
		all := b.Of == ota.UnavailableAgents && is.row.Source == ""
		used := map[string]int{}
		for i := range is.Agents {
			if a := &is.Agents[i]; a.State.Open || all && a.State.down() {
				used[a.Labels[b.Label]]++
			}
		}
		for _, e := range rec.Events {
			i := slices.IndexFunc(is.Agents, func(a AgentView) bool { return a.ID == e.Agent })
			if e.Kind != ota.EventTaskStarted || i < 0 || all && (was.Agents[i].State.down() || is.Agents[i].State.Down) || !all && was.Agents[i].State.Open {
				continue
			}
			value := is.Agents[i].Labels[b.Label]
			most, own := b.Each[value]
			if !own {
				most = b.Max
			}
			if most > 0 && used[value] > most {
				wrong("%s started, then %d of %s %q are %s; %d may be", e.Agent, used[value], b.Label, value, b.Of, most)
			}
		}
	}
}

// down reports whether the agent does not serve, as far as its tasks say.
func (s *AgentState) down() bool {
	return s.Unhealthy || slices.ContainsFunc(s.Tasks, func(t TaskState) bool {
		unwell := t.Why == ota.ReasonUnhealthy || t.Why == ota.ReasonSilent
		return t.Status != ota.TaskSucceeded && t.Status != ota.TaskRunning && t.Changed || t.Status == ota.TaskFailed && unwell
	})
}
