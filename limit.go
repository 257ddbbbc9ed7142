package ota

import (
	"math"
	"time"
)

// A limit answers how many agents may start now: of any kind (All), and of those that hold no slot yet (New). What may
// start is the smallest answer of all limits. Adding a limit is adding a function to this list.
var limits = []func(*view) room{
	operatorLimit,
	breachLimit,
	cancelLimit,
	rollbackLimit,
	orderLimit,
	drainLimit,
	leaseLimit,
	sourceLimit,
	windowLimit,
	concurrencyLimit,
	reserveLimit,
	budgetLimit,
	rateLimit,
}

// room is the answer of a limit.
type room struct {
	All, New int
	Why      Reason // why not more
	Until    int64  // when that clears by itself, Unix nanoseconds; 0: it does not
	Verb     Verb   // what clears it; 0: nothing anybody can say
	Text     string
}

// plenty is an answer that limits nothing.
var plenty = room{All: math.MaxInt32, New: math.MaxInt32}

// none is an answer that lets nothing start.
func none(why Reason, verb Verb, text string) room { return room{Why: why, Verb: verb, Text: text} }

// slots is an answer about agents that need a slot; those that have one go on.
func slots(n int, why Reason) room {
	return room{All: math.MaxInt32, New: max(n, 0), Why: why}
}

func operatorLimit(v *view) room {
	if p := v.c.Paused; p != nil {
		return none(ReasonPaused, VerbResume, by(*p))
	}
	return plenty
}

func by(s Stamp) string {
	text := "by " + s.Actor
	if s.Actor == "" {
		text = "by an operator"
	}
	if s.Reason != "" {
		text += ": " + s.Reason
	}
	return text + ", since " + s.At.Format(time.RFC3339)
}

func breachLimit(v *view) room {
	if b := standing(v.c, v.p); b != nil {
		return none(ReasonBreached, VerbResume, b.String())
	}
	return plenty
}

func cancelLimit(v *view) room {
	if v.c.Cancel != nil {
		return none(ReasonCanceling, 0, by(v.c.Cancel.Stamp))
	}
	return plenty
}

func rollbackLimit(v *view) room {
	switch r := v.c.Rollback; {
	case r == nil:
		return plenty
	case r.Started == nil:
		return none(ReasonFrozen, VerbRollback, "rollback plan "+r.ID)
	default:
		return none(ReasonRollingBack, 0, "rollback plan "+r.ID)
	}
}

func orderLimit(v *view) room {
	if v.c.OrderCount > v.p.Folded {
		return none(ReasonOrders, 0, "")
	}
	return plenty
}

func drainLimit(v *view) room {
	if v.calls.draining {
		return none(ReasonDraining, 0, "")
	}
	return plenty
}

func leaseLimit(v *view) room {
	if v.calls.leaseOut {
		return none(ReasonLease, 0, "")
	}
	return plenty
}

func sourceLimit(v *view) room {
	if v.spec.Source != "" && (!v.calls.source || v.p.Doubts < v.spec.Doubtful) {
		return none(ReasonSource, 0, "plan "+v.spec.Source)
	}
	return plenty
}

func windowLimit(v *view) room {
	windows := v.c.Policy.Windows
	if len(windows) == 0 {
		return plenty
	}
	at, ok := nextOpen(windows, v.now)
	if ok && at == v.now {
		return plenty
	}
	r := none(ReasonWindow, 0, unknownZones(windows))
	r.Until = at
	return r
}

func concurrencyLimit(v *view) room {
	return slots(v.c.Policy.Concurrency-v.p.Open, ReasonConcurrency)
}

func reserveLimit(v *view) room {
	if !v.c.Policy.Reserve || v.b == nil {
		return plenty
	}
	tolerated, failed := v.tolerance()
	return slots(tolerated+1-failed-v.p.Open, ReasonReserve)
}

// rateLimit is a bucket that leaks evenly. Its level is stored as the time at which it will be empty, so that a crash
// fills nothing up.
func rateLimit(v *view) room {
	r := v.c.Policy.Rate
	if r.Starts == 0 {
		return plenty
	}
	step, burst := r.interval(), r.burst()
	ahead := max(v.p.RateAt-v.now, 0)
	n := burst - (ahead+step-1)/step
	return room{All: int(max(n, 0)), New: int(max(n, 0)), Why: ReasonRate, Until: v.p.RateAt - (burst-1)*step}
}
