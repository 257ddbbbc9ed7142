package ota

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"golang.org/x/sync/errgroup"
)

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
		return Plan{}, fmt.Errorf("ota: precheck plan %s: %w", id, err)
	}
	if _, ok := row.Control.known(by.ID, 0); ok {
		return planOf(&row), nil
	}
	r := e.newReadiness(ctx, row.Control.Policy)
	if !neverStarts(statusOf(&row.Control, &row.Progress)) {
		err = r.ask(e.pending(ctx, &row), row.ID, row.Source)
	}
	if err != nil {
		return Plan{}, fmt.Errorf("ota: precheck plan %s: %w", id, err)
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
func (e *Engine) pending(ctx context.Context, row *PlanRow) iter.Seq2[Attempt, error] {
	st := &state{id: row.ID, spec: row.Spec, c: row.Control, epoch: row.Epoch}
	return func(yield func(Attempt, error) bool) {
		for q := (RowQuery{Status: []TaskStatus{TaskPending}}); ; {
			page, err := e.store.Agents(ctx, row.ID, q)
			if err != nil {
				yield(Attempt{}, err)
				return
			}
			for i := range page.Items {
				q.From = page.Items[i].Ordinal + 1
				r := &cachedRow{AgentRow: &page.Items[i]}
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
