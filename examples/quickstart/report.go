package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/seed-19b57ce3/ota"
	"golang.org/x/sync/errgroup"
)

// answer is one agent's answer to the question for its version. The zero identity means that it did
// not answer.
type answer struct {
	agent string
	identity
}

// census asks every agent of the fleet, not the plans.
func (f *fleet) census(ctx context.Context) map[string]answer {
	var mu sync.Mutex
	all := make(map[string]answer, len(f.machines))
	var g errgroup.Group
	g.SetLimit(parallel)
	for _, m := range f.machines {
		g.Go(func() error {
			id, _ := m.identity(ctx) // no answer counts as an answer
			mu.Lock()
			defer mu.Unlock()
			all[m.id] = answer{m.id, id}
			return nil
		})
	}
	_ = g.Wait()
	return all
}

// agreeOn lists the agents that run another version than this one.
func agreeOn(all map[string]answer, version string) []string {
	var wrong []string
	for _, a := range all {
		if a.Version != version {
			wrong = append(wrong, fmt.Sprintf("%s runs %s, not %s", a.agent, a, version))
		}
	}
	return wrong
}

func (a answer) String() string {
	if a.Version == "" {
		return "nothing"
	}
	return a.Version
}

// compare asks every agent, and compares each answer with the plan's record of it.
func (s *story) compare(ctx context.Context, p ota.Plan, before map[string]answer) error {
	records, err := s.records(ctx, p.ID)
	if err != nil {
		return err
	}
	now := s.fleet.census(ctx)
	var wrong []string
	for id := range now {
		r, ok := records[id]
		switch {
		case !ok:
			wrong = append(wrong, id+" is not in the plan")
		default:
			wrong = append(wrong, disagreement(r, now[id], before[id])...)
		}
	}
	return s.out.census(now, wrong, "; the plan's records say the same of each")
}

// disagreement lists where an agent's own answer differs from its record in a plan.
func disagreement(r ota.AgentInfo, now, before answer) []string {
	target := r.Tasks[0].Target
	switch {
	case !r.Changed && now != before:
		return []string{fmt.Sprintf("%s is on record as not touched, but runs %s in another process", r.ID, now)}
	case r.AtTarget && now.Version == target: // it ran the target before its first attempt
		return nil
	case !r.Changed && now.Version != r.Version:
		return []string{fmt.Sprintf("%s is on record as not touched at %s, but runs %s", r.ID, r.Version, now)}
	case !r.Changed, r.Status == ota.TaskSucceeded && now.Version == target:
		return nil
	case r.Status == ota.TaskFailed && now.Version != target:
		return nil
	case r.Status == ota.TaskWaiting: // its attempt was interrupted, and the plan paused before the next: either version is right
		return nil
	default:
		return []string{fmt.Sprintf("%s is on record as %s at %s, but runs %s", r.ID, r.Status, target, now)}
	}
}

// compareRollback checks three things. The rollback plan has exactly the agents that its source
// touched. All agents run their earlier version. All other agents were not touched: the same
// processes still run there.
func (s *story) compareRollback(ctx context.Context, source, undo ota.Plan, before map[string]answer) error {
	was, err := s.records(ctx, source.ID)
	if err != nil {
		return err
	}
	undone, err := s.records(ctx, undo.ID)
	if err != nil {
		return err
	}
	now := s.fleet.census(ctx)
	wrong := agreeOn(now, source.FromVersion)
	for id, r := range was {
		u, ok := undone[id]
		switch {
		case ok != r.Changed:
			wrong = append(wrong, fmt.Sprintf("%s: touched is %t, in the rollback is %t", id, r.Changed, ok))
		case ok:
			wrong = append(wrong, disagreement(u, now[id], before[id])...)
		default:
			wrong = append(wrong, disagreement(r, now[id], before[id])...)
		}
	}
	if source, err = s.engine.Plan(ctx, source.ID); err != nil {
		return err
	}
	if undo.Status != ota.StatusCompleted || source.Status != ota.StatusRolledBack {
		wrong = append(wrong, fmt.Sprintf("the rollback plan is %s and its source %s", undo.Status, source.Status))
	}
	return s.out.census(now, wrong, fmt.Sprintf("; %d taken back, %d never stopped", len(undone), len(was)-len(undone)))
}

// records reads a plan's record of each of its agents.
func (s *story) records(ctx context.Context, plan string) (map[string]ota.AgentInfo, error) {
	all := map[string]ota.AgentInfo{}
	for q := (ota.AgentQuery{}); ; {
		page, err := s.engine.Agents(ctx, plan, q)
		if err != nil {
			return nil, err
		}
		for _, a := range page.Items {
			all[a.ID] = a
			q.From = a.Ordinal + 1
		}
		if !page.More {
			return all, nil
		}
	}
}

// census prints the answers of the agents, and fails when some are wrong. Otherwise it prints note.
func (o *output) census(all map[string]answer, wrong []string, note string) error {
	count := map[string]int{}
	for _, a := range all {
		count[a.Version]++
	}
	var parts []string
	for _, v := range slices.Sorted(maps.Keys(count)) {
		if v != "" {
			parts = append(parts, fmt.Sprintf("%s on %d", v, count[v]))
		}
	}
	if n := count[""]; n > 0 {
		parts = append(parts, fmt.Sprintf("no answer from %d", n))
	}
	text := fmt.Sprintf("Asked all %d agents: %s", len(all), strings.Join(parts, ", "))
	if len(wrong) == 0 {
		o.checked(true, text+note)
		return nil
	}
	o.checked(false, text)
	slices.Sort(wrong)
	return errors.New("the agents do not agree with the plan's records:\n  " + strings.Join(wrong, "\n  "))
}

// summary lists all plans, oldest first.
func (s *story) summary(ctx context.Context) error {
	page, err := s.engine.Plans(ctx, ota.PlanQuery{})
	if err != nil {
		return err
	}
	slices.Reverse(page.Items)
	for _, p := range page.Items {
		s.out.say("%-28s %-12s %3d agents, %3d touched, %3d succeeded, %2d failed",
			p.Name, p.Status, p.Agents, p.Changed, p.Counts.Succeeded, p.Counts.Bad())
	}
	return nil
}
