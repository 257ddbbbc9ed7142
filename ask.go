package ota

import (
	"context"
	"time"
)

// answer asks one question of the core, outside, and sends the answer to the owner.
func (d *driver) answer(a ask) {
	switch a.kind {
	case askProbe:
		d.answerProbe(a)
	case askInspect:
		d.answerInspect(a)
	case askGate:
		d.answerGate(a)
	case askPrecheck:
		d.answerPrecheck(a)
	}
}

// askLimit bounds a question.
const askLimit = 30 * time.Second

func (d *driver) answerProbe(a ask) {
	ctx, cancel := context.WithTimeout(d.life, askLimit)
	defer cancel()
	prober := d.e.with.Prober
	health, err := protect(func() (Health, error) { return prober.Health(ctx, a.attempt) })
	if err != nil {
		d.e.opt.Logger.WarnContext(ctx, "health is not known", "plan", d.id, "agent", a.attempt.Agent, "error", err)
	}
	reply := probeAnswer{ordinal: a.ordinal, at: d.e.now().UnixNano(), known: err == nil, health: health}
	d.post(func(m *mail) { m.input.probes = append(m.input.probes, reply) })
}

func (d *driver) answerInspect(a ask) {
	ctx, cancel := context.WithTimeout(d.life, askLimit)
	defer cancel()
	inspector := d.e.with.Inspector
	found, err := protect(func() (Inspection, error) { return inspector.Inspect(ctx, a.attempt) })
	if err != nil {
		d.e.opt.Logger.WarnContext(ctx, "attempt could not be inspected", "plan", d.id, "agent", a.attempt.Agent, "error", err)
		found = Inspection{}
	}
	reply := inspectAnswer{ordinal: a.ordinal, task: a.attempt.Task, number: a.number}
	reply.outcome = found.outcome(a, d.e.now())
	d.post(func(m *mail) { m.input.inspects = append(m.input.inspects, reply) })
}

// outcome is what an inspection says about the attempt, or nil when it is to be called again.
func (f Inspection) outcome(a ask, now time.Time) *outcome {
	o := &outcome{
		ordinal: a.ordinal, agent: a.attempt.Agent, task: a.attempt.Task, number: a.number, at: now.UnixNano(), repeat: true,
	}
	switch {
	case f.State == InspectDone:
		o.reason, o.version, o.text = ReasonSucceeded, f.Result.Version, f.Result.Message
	case f.State == InspectFailed && f.Err != nil:
		o.reason, o.after, o.unchanged = classify(f.Err)
		o.text = cutMessage(f.Err.Error())
	default:
		return nil
	}
	return o
}

// tend looks after the other plan of a rollback, in the background, when that is due.
func (d *driver) tend(now time.Time) {
	st := d.session.st
	other := st.spec.Source
	if ref := st.c.Rollback; ref != nil {
		other = ref.ID
	}
	if other == "" && !undoing(&st.c, &st.p) || d.tending || now.Before(d.tendAt) {
		return
	}
	if d.linked == nil && other != "" {
		d.linked, d.unlink = d.e.hub.watch(other)
	}
	d.tending, d.tendAt = true, now.Add(d.e.opt.Poll)
	d.asks.Go(func() {
		link, err := d.e.tend(d.life, d.id)
		if err != nil && d.life.Err() == nil {
			d.e.opt.Logger.WarnContext(d.life, "rollback does not go on", "plan", d.id, "error", err)
		}
		d.post(func(m *mail) { m.link = &link })
	})
}
