package avi

import (
	"fmt"

	"github.com/seed-19b57ce3/ota"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// The states of a check.
const (
	checkWell    = "UPGRADE_PRE_CHECK_SUCCESS"
	checkWarning = "UPGRADE_PRE_CHECK_WARNING" // it passes by itself
	checkFailed  = "UPGRADE_PRE_CHECK_ERROR"
)

// readiness is what the last Precheck has found; absent when none was made.
func (l *look) readiness() (any, error) {
	r := l.plan.Readiness
	if r == nil {
		return nil, nil
	}
	checks := []any{reachable(r), fit(r), unclaimed(r), open(r)}
	word, why := checkWell, ""
	for _, c := range checks {
		c := c.(map[string]any) //nolint:forcetypeassert // made above
		if s := c["state"]; s == checkFailed && word != checkFailed || s == checkWarning && word == checkWell {
			word, why = s.(string), c["description"].(string) //nolint:forcetypeassert // made above
		}
	}
	return map[string]any{
		"checks": checks, "total_checks": len(checks), "checks_completed": len(checks), "progress": 100,
		"state": stateOf(word, why, r.At), "start_time": timeText(r.At), "end_time": timeText(r.At), "duration": 0, "upgrade_ops": opsOf(l.plan),
	}, nil
}

// reachable tells who does not answer. They are asked again.
func reachable(r *ota.Readiness) any {
	return checkOf(r, "CHECK_REACHABLE", fmt.Sprintf("%d of %s %s not answer", r.Unreachable, plural.Count(r.Asked, "agent"), plural.Verb(r.Unreachable, "does", "do")), r.Unreachable == 0, checkWarning, named(r, ota.PrecheckUnreachable))
}

// fit tells who is left out.
func fit(r *ota.Readiness) any {
	return checkOf(r, "CHECK_AGENTS", fmt.Sprintf("%d of %s %s to be left out", r.Blocked, plural.Count(r.Asked, "agent"), plural.Verb(r.Blocked, "is", "are")), r.Blocked == 0, checkFailed, named(r, ota.PrecheckBlocked))
}

// unclaimed tells which agents other plans hold.
func unclaimed(r *ota.Readiness) any {
	var names []any
	for _, c := range r.Conflicts {
		names = append(names, c.Agent+": "+c.Plan)
	}
	return checkOf(r, "CHECK_CONFLICTS", plural.Count(r.ConflictCount, "agent")+" "+plural.Verb(r.ConflictCount, "belongs", "belong")+" to other active plans", r.ConflictCount == 0, checkFailed, names)
}

// open tells whether a maintenance window is open.
func open(r *ota.Readiness) any {
	switch {
	case r.NextOpen.Equal(r.At):
		return checkOf(r, "CHECK_WINDOW", "agents may be started now", true, "", nil)
	case r.NextOpen.IsZero():
		return checkOf(r, "CHECK_WINDOW", "no maintenance window opens any more", false, checkFailed, nil)
	default:
		return checkOf(r, "CHECK_WINDOW", "the next maintenance window opens at "+timeText(r.NextOpen), false, checkWarning, nil)
	}
}

func checkOf(r *ota.Readiness, code, text string, passed bool, otherwise string, errors []any) any {
	c := map[string]any{
		"check_code": code, "description": text, "state": checkWell, "start_time": timeText(r.At), "end_time": timeText(r.At), "duration": 0,
	}
	if !passed {
		c["state"] = otherwise
		if len(errors) > 0 {
			c["error_details"] = errors
		}
	}
	return c
}

func named(r *ota.Readiness, state ota.PrecheckState) (names []any) {
	for _, f := range r.Findings {
		if f.State == state {
			names = append(names, f.Agent+": "+f.Reason)
		}
	}
	return names
}
