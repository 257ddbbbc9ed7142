package httpapi

import (
	"maps"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/duration"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// policyEdit is the policy of a request: what it sets, in the order in which it does. It serves creating and editing.
type policyEdit struct {
	d       *decoder
	changes []func(*ota.Policy)
	observe *string // observeDuration as given; nil: not given
	reset   bool    // observeDuration was null
}

func (e *policyEdit) apply(p *ota.Policy) {
	for _, change := range e.changes {
		change(p)
	}
}

func (e *policyEdit) add(change func(*ota.Policy)) { e.changes = append(e.changes, change) }

// with is a field whose null stands for the default.
func (e *policyEdit) with(f field, null func(*ota.Policy)) field {
	f.null = func() { e.add(null) }
	return f
}

var limitWords = map[string]time.Duration{"none": ota.NoLimit}

// fields are the members that a policy has on the wire.
func (e *policyEdit) fields() fields {
	d := e.d
	var scope ota.Scope
	var onBreach ota.Action
	var onAway ota.AwayAction
	known := e.limits()
	maps.Copy(known, fields{
		"concurrency": e.with(
			d.integer(1, 1_000_000, func(n int) { e.add(func(p *ota.Policy) { p.Concurrency = n }) }),
			func(p *ota.Policy) { p.Concurrency = 0 }),
		"failureThreshold": e.with(
			d.float(fraction, func(f float64) { e.add(func(p *ota.Policy) { p.FailureThreshold = &f }) }),
			func(p *ota.Policy) { p.FailureThreshold = nil }),
		"scope": e.with(
			d.enum(&scope, "batch, plan", func() { v := scope; e.add(func(p *ota.Policy) { p.Scope = v }) }),
			func(p *ota.Policy) { p.Scope = 0 }),
		"onBreach": e.with(
			d.enum(&onBreach, "pause, rollback, continue", func() { v := onBreach; e.add(func(p *ota.Policy) { p.OnBreach = v }) }),
			func(p *ota.Policy) { p.OnBreach = 0 }),
		"onAway": e.with(
			d.enum(&onAway, "fail, skip", func() { v := onAway; e.add(func(p *ota.Policy) { p.OnAway = v }) }),
			func(p *ota.Policy) { p.OnAway = 0 }),
		"reserve": e.with(
			d.truth(func(v bool) { e.add(func(p *ota.Policy) { p.Reserve = v }) }),
			func(p *ota.Policy) { p.Reserve = false }),
		"maxAbandoned": e.with(
			d.integer(1, 1_000_000, func(n int) { e.add(func(p *ota.Policy) { p.MaxAbandoned = n }) }),
			func(p *ota.Policy) { p.MaxAbandoned = 0 }),
		"attemptLimit":    e.limit(func(p *ota.Policy) *time.Duration { return &p.AttemptLimit }),
		"queueLimit":      e.limit(func(p *ota.Policy) *time.Duration { return &p.QueueLimit }),
		"hold":            e.object(e.hold, func(p *ota.Policy) { p.Hold = ota.Hold{} }),
		"observe":         e.object(e.observing, func(p *ota.Policy) { p.Observe = ota.Observe{} }),
		"retry":           e.object(e.retry, func(p *ota.Policy) { p.Retry = ota.Retry{} }),
		"observeDuration": {read: e.observeDuration, null: func() { e.observe, e.reset = nil, true }},
	})
	return known
}

// limit is a field that is more than nothing, or "none".
func (e *policyEdit) limit(of func(*ota.Policy) *time.Duration) field {
	return e.with(e.d.duration(limitWords, func(v time.Duration) {
		if v == 0 {
			e.d.refuse("0", "is no limit", `more than 0, or "none"`)
		}
		e.add(func(p *ota.Policy) { *of(p) = v })
	}), func(p *ota.Policy) { *of(p) = 0 })
}

func (e *policyEdit) wait(of func(*ota.Policy) *time.Duration) field {
	return e.with(e.d.duration(nil, func(v time.Duration) { e.add(func(p *ota.Policy) { *of(p) = v }) }),
		func(p *ota.Policy) { *of(p) = 0 })
}

func (e *policyEdit) object(members func() fields, null func(*ota.Policy)) field {
	return e.with(field{read: func() error { return e.d.object(members()) }}, null)
}

func (e *policyEdit) hold() fields {
	return fields{
		"every": e.with(e.d.truth(func(v bool) { e.add(func(p *ota.Policy) { p.Hold.Every = v }) }),
			func(p *ota.Policy) { p.Hold.Every = false }),
		"batches": e.with(field{read: func() error {
			list := []int{}
			one := e.d.integer(1, 1<<30, func(n int) { list = append(list, n) })
			err := e.d.Array(func(i int) error {
				if i == 10_000 {
					return newProblem("invalid", "", wire.Mistake{Pointer: e.d.Pointer(), Problem: "has too many entries", Allowed: "at most 10000"})
				}
				return one.read()
			})
			e.add(func(p *ota.Policy) { p.Hold.Batches = list })
			return err
		}}, func(p *ota.Policy) { p.Hold.Batches = nil }),
	}
}

func (e *policyEdit) observing() fields {
	return fields{
		"wait":   e.wait(func(p *ota.Policy) *time.Duration { return &p.Observe.Wait }),
		"stable": e.wait(func(p *ota.Policy) *time.Duration { return &p.Observe.Stable }),
		"retry":  e.wait(func(p *ota.Policy) *time.Duration { return &p.Observe.Retry }),
		"probe":  e.wait(func(p *ota.Policy) *time.Duration { return &p.Observe.Probe }),
		"toEnd": e.with(e.d.truth(func(v bool) { e.add(func(p *ota.Policy) { p.Observe.ToEnd = v }) }),
			func(p *ota.Policy) { p.Observe.ToEnd = false }),
	}
}

func (e *policyEdit) retry() fields {
	return fields{
		"max": e.with(e.d.integer(0, 100, func(n int) { e.add(func(p *ota.Policy) { p.Retry.Max = n }) }),
			func(p *ota.Policy) { p.Retry.Max = 0 }),
		"backoff":    e.wait(func(p *ota.Policy) *time.Duration { return &p.Retry.Backoff }),
		"maxBackoff": e.wait(func(p *ota.Policy) *time.Duration { return &p.Retry.MaxBackoff }),
	}
}

// observeDuration keeps its text, whatever it says; when it is a duration it is how long a batch is observed.
func (e *policyEdit) observeDuration() error {
	s, err := e.d.durationText()
	if err != nil {
		return err
	}
	if len(s) > 255 {
		e.d.refuse(s, "is too long", "at most 255 bytes")
		return nil
	}
	e.observe, e.reset = &s, false
	return nil
}

// settle adds what observeDuration says, which counts more than observe.wait.
func (e *policyEdit) settle() {
	if e.reset {
		e.add(func(p *ota.Policy) { p.Observe.Wait = 0 })
	}
	if e.observe == nil {
		return
	}
	if v, ok := duration.Parse(*e.observe); ok {
		e.add(func(p *ota.Policy) { p.Observe.Wait = v })
	}
}
