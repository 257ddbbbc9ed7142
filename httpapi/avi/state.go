package avi

import (
	"slices"
	"strconv"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// opsOf is what a plan does, in the document's words.
func opsOf(p *ota.Plan) string {
	back := p.Source != "" || p.Status == ota.StatusRollingBack || p.Status == ota.StatusRolledBack
	switch {
	case back && isPatch(p):
		return "ROLLBACKPATCH"
	case back:
		return "ROLLBACK"
	case isPatch(p):
		return "PATCH"
	default:
		return "UPGRADE"
	}
}

// fsm is where a plan stands, in the document's words.
func (l *look) fsm() (string, error) {
	p := l.plan
	switch p.Status {
	case ota.StatusPending:
		return "UPGRADE_FSM_INIT", nil
	case ota.StatusRunning:
		x, err := l.explain()
		if waiting(p, x) {
			return "UPGRADE_FSM_WAITING", err
		}
		return "UPGRADE_FSM_IN_PROGRESS", err
	case ota.StatusPausing, ota.StatusPaused:
		switch {
		case faulty(p):
			return "UPGRADE_FSM_ERROR", nil
		case suspended(p):
			return "UPGRADE_FSM_SUSPENDED", nil
		}
		return "UPGRADE_FSM_PAUSED", nil
	case ota.StatusCanceling:
		return "UPGRADE_FSM_ABORT_IN_PROGRESS", nil
	case ota.StatusCanceled:
		return "UPGRADE_FSM_ABORTED", nil
	case ota.StatusRollingBack:
		return "UPGRADE_FSM_IN_PROGRESS", nil
	default: // completed, rolled back
		return "UPGRADE_FSM_COMPLETED", nil
	}
}

// waiting reports whether a running plan has nothing in flight, and may start nothing: no window is
// open, the next batch is held, or the gate has not passed.
func waiting(p *ota.Plan, x ota.Explanation) bool {
	if p.InFlight() > 0 {
		return false
	}
	has := func(reasons ...ota.Reason) bool {
		return slices.ContainsFunc(x.Blockers, func(b ota.Blocker) bool { return slices.Contains(reasons, b.Reason) })
	}
	return has(ota.ReasonWindow, ota.ReasonHeld) || has(ota.ReasonGate) && !has(ota.ReasonSoaking)
}

func faulty(p *ota.Plan) bool {
	return slices.ContainsFunc(p.Breaches, func(b ota.Breach) bool { return b.Reason == ota.ReasonFault })
}

// segState is where the group stands: seg_status has words of its own.
func segState(p *ota.Plan) string {
	switch p.Status {
	case ota.StatusPending:
		return "SE_UPGRADE_NOT_STARTED"
	case ota.StatusPausing, ota.StatusPaused:
		switch {
		case faulty(p):
			return "SE_UPGRADE_ERROR"
		case suspended(p):
			return "SE_UPGRADE_SUSPENDED"
		}
	case ota.StatusCompleted, ota.StatusRolledBack:
		return "SE_UPGRADE_COMPLETE"
	case ota.StatusCanceled:
		return "SE_UPGRADE_ERROR"
	}
	return "SE_UPGRADE_IN_PROGRESS"
}

func (l *look) state() (any, error) {
	word, err := l.fsm()
	if err != nil {
		return nil, err
	}
	why, err := l.reason()
	if err != nil {
		return nil, err
	}
	t, err := l.trace()
	return stateOf(word, why, t.changed), err
}

func stateOf(word, why any, changed time.Time) map[string]any {
	return map[string]any{
		"state": word, "reason": why, "rebooted": false,
		"last_changed_time": map[string]any{"secs": changed.Unix(), "usecs": changed.Nanosecond() / 1000},
	}
}

// reason is the first thing that holds the plan back, as a sentence.
func (l *look) reason() (any, error) {
	if l.plan.Status == ota.StatusCompleted {
		return "", nil
	}
	x, err := l.explain()
	return x.Sentence(), err
}

// ended counts what has ended, however it ended.
func ended(n ota.Counts) int { return n.Total() - n.Pending - n.Running - n.Waiting }

func progressOf(p *ota.Plan) int {
	if p.Status == ota.StatusCompleted {
		return 100
	}
	return 100 * ended(p.Tasks) / max(1, p.Tasks.Total())
}

func versionOf(p *ota.Plan) string {
	if p.Status == ota.StatusCompleted {
		return p.ToVersion
	}
	return p.FromVersion
}

func previousOf(p *ota.Plan) string {
	switch p.Status {
	case ota.StatusCompleted:
		return p.FromVersion
	case ota.StatusRolledBack:
		return p.ToVersion
	default:
		return ""
	}
}

// endOf is when a plan has ended. One that is being rolled back has not, whatever it was before.
func endOf(p *ota.Plan) time.Time {
	if !p.Status.Ended() {
		return time.Time{}
	}
	return p.EndedAt
}

func (l *look) duration() (any, error) {
	if l.plan.StartedAt.IsZero() {
		return nil, nil
	}
	return l.seconds(l.plan.StartedAt, endOf(l.plan)), nil
}

// seconds is the time from start to end, or until now, as far as the document's numbers go.
func (l *look) seconds(start, end time.Time) int {
	if start.IsZero() {
		return 0
	}
	if end.IsZero() {
		end = l.now
	}
	return int(min(max(0, end.Sub(start)/time.Second), time.Duration(count.most)))
}

// timeText is a time as the controller writes it, in UTC; empty for none.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// microText is a time as a text of microseconds since 1970.
func microText(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }
