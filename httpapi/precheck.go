package httpapi

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/protocol"
	"github.com/seed-19b57ce3/ota/httpapi/wire"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// The checks of a precheck.
const (
	checkConnectivity = "agent-connectivity"
	checkVersion      = "agent-version"
	checkConflict     = "agent-conflict"
	checkWindow       = "maintenance-window"
	checkExecutor     = "executor"
)

var checkNames = []string{checkConnectivity, checkVersion, checkConflict, checkWindow, checkExecutor}

// precheckPlan is Precheck: it asks the Executor about every agent that was not started, and
// answers when all have answered. Nothing of the plan changes but the record of what was found.
func precheckPlan(c *call) error {
	item := ""
	d, err := c.body(true, func(d *decoder) error { return d.documented(fields{"item": d.text(&item)}) })
	if err != nil {
		return err
	}
	if item != "" && !slices.Contains(checkNames, item) {
		d.refuseAt("/item", item, "is no check", strings.Join(checkNames, ", "))
	}
	p, by, err := c.verb(c.id, ota.VerbAnnotate)
	if err != nil {
		return err
	}
	if err := d.valid(); err != nil {
		return err
	}
	c.wait.For(p.Agents, time.Second) // it takes as long as the agents do
	if p, err = c.h.engine.Precheck(c.r.Context(), p.ID, by); err != nil {
		return refused(by, err)
	}
	c.w.Header().Set("ETag", protocol.ETag(p.Generation))
	out := precheckOf(p.Readiness, item)
	out.Warnings = d.warnings
	return c.json(out)
}

// precheckOf is what was found as a list of checks, or of the one that was asked for.
func precheckOf(r *ota.Readiness, item string) wire.Precheck {
	out := wire.Precheck{Allowed: true, Items: []wire.PrecheckItem{}}
	for _, x := range []wire.PrecheckItem{connectivity(r), versions(r), conflicts(r), windows(r), executor(r)} {
		if item == "" || item == x.Name {
			out.Items = append(out.Items, x)
			out.Allowed = out.Allowed && x.Passed
		}
	}
	return out
}

func connectivity(r *ota.Readiness) wire.PrecheckItem {
	x := wire.PrecheckItem{Name: checkConnectivity, Passed: r.Unreachable == 0, Message: asked(r, r.Asked-r.Unreachable, "answered")}
	if !x.Passed {
		x.Message += found(r, ota.PrecheckUnreachable)
		x.Fix = "Bring the agents back, or skip them; the plan asks them again later by itself."
	}
	return x
}

func versions(r *ota.Readiness) wire.PrecheckItem {
	x := wire.PrecheckItem{Name: checkVersion, Passed: r.Asked == 0 || r.AtTarget < r.Asked, Message: asked(r, r.AtTarget, "are at the target already")}
	if !x.Passed {
		x.Fix = "There is nothing to do: cancel the plan."
	}
	return x
}

func conflicts(r *ota.Readiness) wire.PrecheckItem {
	x := wire.PrecheckItem{Name: checkConflict, Passed: r.ConflictCount == 0, Message: plural.Count(r.ConflictCount, "agent") + " " + plural.Verb(r.ConflictCount, "belongs", "belong") + " to other active plans"}
	if !x.Passed {
		var plans []string
		agents := map[string][]string{}
		for _, c := range r.Conflicts {
			if agents[c.Plan] == nil {
				plans = append(plans, c.Plan)
			}
			agents[c.Plan] = append(agents[c.Plan], c.Agent)
		}
		for _, plan := range plans {
			x.Message += fmt.Sprintf("; %s: %s", plan, strings.Join(agents[plan], ", "))
		}
		x.Fix = "Wait until those plans have ended, or cancel them."
	}
	return x
}

func windows(r *ota.Readiness) wire.PrecheckItem {
	switch {
	case r.NextOpen.Equal(r.At):
		return wire.PrecheckItem{Name: checkWindow, Passed: true, Message: "agents may be started now"}
	case r.NextOpen.IsZero():
		return wire.PrecheckItem{Name: checkWindow, Message: "no window opens any more", Fix: "Edit the windows."}
	default:
		return wire.PrecheckItem{
			Name: checkWindow, Message: "the next window opens at " + r.NextOpen.UTC().Format("2006-01-02T15:04:05Z"),
			Fix: "Wait for it, or edit the windows.",
		}
	}
}

func executor(r *ota.Readiness) wire.PrecheckItem {
	x := wire.PrecheckItem{Name: checkExecutor, Passed: r.Blocked == 0, Message: asked(r, r.Blocked, "are to be left out")}
	if !x.Passed {
		x.Message += found(r, ota.PrecheckBlocked)
		x.Fix = "See to what the agents say, or let the plan skip them."
	}
	return x
}

// asked is a count of the agents that were asked about.
func asked(r *ota.Readiness, n int, what string) string {
	if r.Asked == 0 {
		return "no agent was asked: none is left, or there is nobody to ask"
	}
	return fmt.Sprintf("%d of %s %s", n, plural.Count(r.Asked, "agent"), what)
}

// found names the agents that were found in a state, as far as they are known.
func found(r *ota.Readiness, state ota.PrecheckState) string {
	var b strings.Builder
	for _, f := range r.Findings {
		if f.State == state {
			b.WriteString("; " + f.Agent)
			if f.Reason != "" {
				b.WriteString(": " + f.Reason)
			}
		}
	}
	return b.String()
}
