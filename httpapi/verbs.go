package httpapi

import (
	"github.com/seed-19b57ce3/ota"
)

// verbs are the operations that say one thing to a plan and answer with the plan.
var verbs = []struct {
	path      string
	operation string
	verb      ota.Verb
	serve     func(*call) error
	undone    string // as in a route
}{
	{"start", "StartPlan", ota.VerbStart, startPlan, "the plan is not started"},
	{"pause", "PausePlan", ota.VerbPause, pausePlan, "the plan is not paused"},
	{"resume", "ResumePlan", ota.VerbResume, resumePlan, "the plan is not resumed"},
	{"cancel", "CancelPlan", ota.VerbCancel, cancelPlan, "the plan is not canceled"},
	{"promote", "PromoteBatch", ota.VerbPromote, promoteBatch, "the batch is not promoted"},
	{"skip", "SkipAgents", ota.VerbSkip, skipAgents, "the agents are not skipped"},
	{"retry", "RetryAgents", ota.VerbRetry, retryAgents, "the agents are not tried again"},
	{"now", "StartAgentsNow", ota.VerbNow, startAgentsNow, "the agents do not start next"},
	{"give-up", "GiveUpAgents", ota.VerbGiveUp, giveUpAgents, "the attempts are not given up"},
}

// say reads a verb's body, finds its plan and has do carry it out. more are the body's fields
// besides reason; check looks at them before the plan is looked for.
func (c *call) say(v ota.Verb, more func(*decoder) fields, check func() error, do func(ota.Plan, ota.Request) (ota.Plan, error)) error {
	what, err := c.shown(true, false)
	if err != nil {
		return err
	}
	var reason string
	d, err := c.body(true, func(d *decoder) error {
		known := fields{}
		if more != nil {
			known = more(d)
		}
		known["reason"] = d.text(&reason)
		return d.object(known)
	})
	if err == nil && check != nil && len(d.mistakes) == 0 { // what was refused is not missing
		err = check()
	}
	if err != nil {
		return err
	}
	p, by, err := c.verb(c.id, v)
	if err != nil {
		return err
	}
	if err := d.valid(); err != nil {
		return err
	}
	by.Reason = reason
	if p, err = do(p, by); err != nil {
		return refused(by, err)
	}
	return c.answerPlan(p, what, bare)
}

func startPlan(c *call) error {
	return c.say(ota.VerbStart, nil, nil, func(p ota.Plan, by ota.Request) (ota.Plan, error) {
		return c.h.engine.Start(c.r.Context(), p.ID, by)
	})
}

func pausePlan(c *call) error {
	return c.say(ota.VerbPause, nil, nil, func(p ota.Plan, by ota.Request) (ota.Plan, error) {
		return c.h.engine.Pause(c.r.Context(), p.ID, by)
	})
}

func resumePlan(c *call) error {
	var word string
	var failed *int
	var threshold *float64
	return c.say(ota.VerbResume, func(d *decoder) fields {
		return fields{
			"decision": {read: func() (err error) {
				if word, err = d.String(); err == nil && word != "accept" && word != "retry" && word != "raise" {
					d.refuse(word, "is unknown", "accept, retry, raise")
				}
				return err
			}},
			"failed":           d.integer(0, 1<<30, func(n int) { failed = &n }),
			"failureThreshold": d.float(fraction, func(f float64) { threshold = &f }),
		}
	}, func() error {
		switch {
		case word == "accept" && failed == nil:
			return missing("failed")
		case word == "raise" && threshold == nil:
			return missing("failureThreshold")
		default:
			return nil
		}
	}, func(p ota.Plan, by ota.Request) (ota.Plan, error) {
		var d ota.Decision
		switch word {
		case "accept":
			d = ota.Accept(*failed)
		case "retry":
			d = ota.RetryFailed()
		case "raise":
			d = ota.Raise(*threshold)
		}
		return c.h.engine.Resume(c.r.Context(), p.ID, d, by)
	})
}

func cancelPlan(c *call) error {
	interrupt := false
	return c.say(ota.VerbCancel, func(d *decoder) fields {
		return fields{"mode": d.mode(&interrupt)}
	}, nil, func(p ota.Plan, by ota.Request) (ota.Plan, error) {
		return c.h.engine.Cancel(c.r.Context(), p.ID, interrupt, by)
	})
}

// mode is a field that says what becomes of calls in flight.
func (d *decoder) mode(interrupt *bool) field {
	return field{read: func() error {
		s, err := d.String()
		switch {
		case err != nil:
			return err
		case s == "interrupt", s == "drain":
			*interrupt = s == "interrupt"
		default:
			d.refuse(s, "is unknown", "drain, interrupt")
		}
		return nil
	}}
}

func promoteBatch(c *call) error {
	batch := -1
	return c.say(ota.VerbPromote, func(d *decoder) fields {
		return fields{"batchIndex": d.integer(0, 1<<30, func(n int) { batch = n })}
	}, nil, func(p ota.Plan, by ota.Request) (ota.Plan, error) {
		if batch < 0 {
			next, err := c.nextBatch(p)
			if err != nil {
				return p, err
			}
			batch = next
		}
		return c.h.engine.Promote(c.r.Context(), p.ID, batch, by)
	})
}

// nextBatch is the first batch that was not begun, or the one after the last.
func (c *call) nextBatch(p ota.Plan) (int, error) {
	for b, err := range c.h.engine.Batches(c.r.Context(), p.ID, max(p.Batch, 1)) {
		if err != nil {
			return 0, err
		}
		if b.Status == ota.BatchPending {
			return b.Index, nil
		}
	}
	return p.Batches, nil
}

func skipAgents(c *call) error { return c.agents(ota.VerbSkip, true, c.h.engine.Skip) }

func retryAgents(c *call) error { return c.agents(ota.VerbRetry, false, c.h.engine.Retry) }

func giveUpAgents(c *call) error { return c.agents(ota.VerbGiveUp, true, c.h.engine.GiveUp) }

func startAgentsNow(c *call) error { return c.agents(ota.VerbNow, true, c.h.engine.Now) }
