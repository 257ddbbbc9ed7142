package ota

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Preview shows a plan that does not exist yet.
type Preview struct {
	// Agents is how many agents the plan would have.
	Agents int `json:"agents"`
	// Tolerated is how many of its agents may fail before a breach, once all have begun.
	Tolerated int `json:"tolerated"`
	// Policy is the policy of the plan, with its defaults.
	Policy Policy `json:"policy"`
	// Batches are the batches of the plan.
	Batches []PreviewBatch `json:"batches"`
	// Harm is what a release would do that breaks every agent: it fails at once, it hangs, or it
	// shows a minute, five minutes, an hour and a day later.
	Harm []Harm `json:"harm"`
	// Sees is which failure rates the plan finds: after its first batch, after batches by which the
	// number of agents has at least doubled, and after the last.
	Sees []Sees `json:"sees"`
	// Warnings are those of the plan: settings that are legal and may be a mistake.
	Warnings []string `json:"warnings,omitempty"`
	// Readiness shows agents that other active plans claim now, when the next window opens, and
	// the results of prechecks if Precheck is set. If the Store is a Claimer, Start refuses a plan
	// with claimed agents. Other plans may end, or claim agents, before this plan starts.
	Readiness Readiness `json:"readiness"`
}

// PreviewBatch is a batch of a plan that does not exist yet.
type PreviewBatch struct {
	Index int    `json:"index"`
	Name  string `json:"name,omitempty"`
	Size  int    `json:"size"`
	// Tolerated is how many agents of the batch may fail. With ScopePlan the failures of the whole
	// plan count instead.
	Tolerated int `json:"tolerated"`
	// Concurrency, Soak and Held are what applies to the batch: of its Stage, or else of the policy.
	// Soak is Soak.Duration. Held says that the batch waits for Promote.
	Concurrency int           `json:"concurrency"`
	Soak        time.Duration `json:"wait"`
	Held        bool          `json:"held"`
}

// PreviewOptions are the options of Preview. The zero value asks no agent.
type PreviewOptions struct {
	// Precheck asks the Prechecker about every agent, at most Concurrency at once. It has no effect
	// if the Executor is no Prechecker.
	Precheck bool
}

// Preview shows the plan that Create would make of a Spec. It writes nothing. It returns the error
// that Create would return for the same Spec, but it does not check whether the ID and the request
// key are free. Package simulate computes how long the plan takes, and what failures do.
//
// Preview reads the Store once for each active plan and every 1,000 agents.
func (e *Engine) Preview(ctx context.Context, spec Spec, options PreviewOptions) (Preview, error) {
	var m mistakes
	spec.check(&m)
	if spec.Agents == nil {
		return Preview{}, m.result()
	}
	spec = e.Resolved(ctx, spec.trimmed())
	d := e.newDraft(spec, &m)
	r := e.newReadiness(ctx, spec.Policy)
	if !options.Precheck || m.err != nil {
		r.prechecker = nil
	}
	if err := r.ask(d.attempts()); err != nil {
		return Preview{}, wrapError(err, "preview plan %q", shorten(spec.Name))
	}
	made, err := d.finish(e.warnings(), e.now())
	if err != nil {
		return Preview{}, err
	}
	p := Preview{
		Agents: made.Spec.Agents, Tolerated: made.Control.toleratedInPlan(made.Spec.Agents, made.Spec.Batches), Policy: made.Control.Policy, Warnings: slices.Concat(made.Spec.Warnings, made.Control.Warnings), Readiness: r.found,
		Harm: made.harm(), Sees: made.sees(),
	}
	if limit := p.Policy.PlanTimeout; limit > 0 && neverOpens(p.Policy.Windows, r.found.At, r.found.At.Add(limit)) {
		p.Warnings = append(p.Warnings, "no window opens before planLimit has passed, if the plan is started now: Start would refuse it")
	}
	if e.with.Claimer != nil {
		claimed := claims{found: p.Readiness.Conflicts, total: p.Readiness.ConflictCount}
		p.Warnings = append(p.Warnings, claimed.warning()...)
	}
	for _, b := range made.Batches {
		r := p.Policy.at(b.Index)
		p.Batches = append(p.Batches, PreviewBatch{
			Index: b.Index, Name: b.Name, Size: b.Size, Tolerated: made.Control.toleratedInBatch(b.Index, b.Size),
			Concurrency: r.concurrency, Soak: r.soak, Held: r.held,
		})
	}
	return p, nil
}

// Resolved returns spec with the tasks of this engine's Resolver, as Create reads it: for a
// simulation of the plan. It is the function Resolved with Options.Resolver.
func (e *Engine) Resolved(ctx context.Context, spec Spec) Spec {
	return Resolved(ctx, spec, e.opt.Resolver)
}

// attempts yields an attempt for every agent of a plan that is to be.
func (d *draft) attempts() iter.Seq2[Attempt, error] {
	s := &d.spec
	st := &state{id: s.ID, c: planControl{Annotations: s.Annotations, Policy: s.Policy.withDefaults()}, spec: planSpec{
		FromVersion: s.FromVersion, FromRelease: s.FromRelease, ToVersion: s.ToVersion, ToRelease: s.ToRelease,
	}}
	return func(yield func(Attempt, error) bool) {
		for row, err := range d.rows() {
			if err != nil {
				yield(Attempt{}, err)
				return
			}
			if !yield(st.attempt(&cachedRow{agentRow: &row}, 0), nil) {
				return
			}
		}
	}
}

// Precheck asks the Prechecker about every agent of a plan that has not started, at most
// Concurrency at once. Without a Prechecker it asks no agent. It also looks for other plans that
// claim the agents.
//
// Precheck is legal in any status, and changes only Plan.Readiness, which is its result. The plan
// asks again before it starts an agent, whatever Precheck has found. Precheck takes as long as the
// answers take. If ctx ends first, it stores nothing and returns the error of ctx.
func (e *Engine) Precheck(ctx context.Context, id string, by Request) (Plan, error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return Plan{}, wrapError(err, "precheck plan %s", id)
	}
	if _, ok := row.Control.known(by.ID, 0); ok {
		return planOf(&row), nil
	}
	r := e.newReadiness(ctx, row.Control.Policy)
	if !neverStarts(statusOf(&row.Control, &row.Progress)) {
		err = r.ask(e.pending(ctx, &row), row.ID, row.Source)
	}
	if err != nil {
		return Plan{}, wrapError(err, "precheck plan %s", id)
	}
	r.found.Actor = by.Actor
	w := &command{ctx: ctx, store: e.store, verb: VerbAnnotate, request: by}
	row, err = e.applyCommand(ctx, id, w, func(w *command) error { return w.found(r.found) })
	if err != nil {
		return Plan{}, err
	}
	return planOf(&row), nil
}

// found stores the result of a Precheck. Like an annotation, it is stored in any status.
func (w *command) found(found Readiness) error {
	w.c.Readiness = &found
	w.events = append(w.events, Event{Kind: EventPrechecked, Batch: -1, Number: found.Blocked + found.Unreachable, Actor: w.request.Actor, Text: found.String()})
	return nil
}

// pending yields an attempt for every agent of a plan that has not started.
func (e *Engine) pending(ctx context.Context, row *planRow) iter.Seq2[Attempt, error] {
	st := &state{id: row.ID, spec: row.Spec, c: row.Control, epoch: row.Epoch}
	return func(yield func(Attempt, error) bool) {
		for q := (rowQuery{Status: []TaskStatus{TaskPending}}); ; {
			page, err := e.store.Agents(ctx, row.ID, q)
			if err != nil {
				yield(Attempt{}, err)
				return
			}
			for i := range page.Items {
				q.From = page.Items[i].Ordinal + 1
				r := &cachedRow{agentRow: &page.Items[i]}
				if !yield(st.attempt(r, r.State.active()), nil) {
					return
				}
			}
			if !page.More {
				return
			}
		}
	}
}

// readiness is a Precheck at work.
type readiness struct {
	e           *Engine
	prechecker  Prechecker // nil: agents are not asked
	ctx         context.Context
	concurrency int // questions at once

	mu    sync.Mutex
	found Readiness
}

func (e *Engine) newReadiness(ctx context.Context, p Policy) *readiness {
	r := &readiness{e: e, prechecker: e.with.Prechecker, ctx: ctx, concurrency: p.withDefaults().Concurrency}
	now := e.now()
	r.found.At, r.found.NextOpen = now, p.NextOpen(now)
	return r
}

// ask asks about agents, and looks for plans that claim them. It ignores the plans in except: the
// plan itself, which comes first, and its source. A Preview names no plan.
func (r *readiness) ask(agents iter.Seq2[Attempt, error], except ...string) error {
	c := conflictSearch{engine: r.e, but: except}
	if err := c.begin(r.ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(r.ctx)
	g.SetLimit(r.concurrency)
	var failed error
	for a, err := range agents {
		if err == nil {
			err = c.add(r.ctx, a.Agent)
		}
		if failed = err; failed != nil || ctx.Err() != nil {
			break
		}
		if r.prechecker != nil {
			g.Go(func() error { return r.askAgent(ctx, a) })
		}
	}
	if err := g.Wait(); failed == nil {
		failed = err
	}
	if failed == nil && r.ctx.Err() != nil {
		failed = context.Cause(r.ctx)
	}
	if failed == nil {
		failed = c.ask(r.ctx)
	}
	if failed == nil && len(except) > 0 {
		failed = c.kept(r.ctx, except[0])
	}
	r.found.Conflicts, r.found.ConflictCount = c.found, c.total
	return failed
}

// askAgent asks about one agent, and counts the answer.
func (r *readiness) askAgent(ctx context.Context, a Attempt) error {
	limited, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	p, _ := r.e.precheck(limited, r.prechecker, a)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found.Asked++
	switch p.State {
	case PrecheckReady:
		r.found.Ready++
	case PrecheckAtTarget:
		r.found.AtTarget++
	case PrecheckBlocked:
		r.found.Blocked++
	case PrecheckUnreachable:
		r.found.Unreachable++
	}
	if p.State >= PrecheckBlocked && len(r.found.Findings) < maxNamed {
		r.found.Findings = append(r.found.Findings, Finding{Agent: a.Agent, State: p.State, Reason: string(cleanLine(p.Reason))})
	}
	return nil
}
