package ota

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Precheck asks the Prechecker, where the Executor is one, about every agent of a plan that was not started, at most
// Concurrency at once, and looks for plans that hold them. It is a question, in any status: nothing but its result is
// kept, with the plan, as Plan.Readiness. The plan asks again before it starts an agent, whatever this has found. It
// takes as long as the answers do; when ctx ends first nothing is kept, and its error is returned.
func (e *Engine) Precheck(ctx context.Context, id string, by Request) (Plan, error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return Plan{}, fmt.Errorf("ota: precheck plan %s: %w", id, err)
	}
	if _, ok := row.Control.known(by.ID, 0); ok {
		return planOf(&row), nil
	}
	r := e.newReadiness(ctx, row.Control.Policy)
	if !gone(statusOf(&row.Control, &row.Progress)) {
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

// found keeps what was found, as an annotation is kept: in any status.
func (w *command) found(found Readiness) error {
	w.c.Readiness = &found
	w.events = append(w.events, Event{Kind: EventPrechecked, Batch: -1, Number: found.Blocked + found.Unreachable, Actor: w.request.Actor, Text: found.String()})
	return nil
}

// pending yields an attempt for every agent of a plan that was not started.
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

// readiness is a Readiness being found.
type readiness struct {
	e     *Engine
	asker Prechecker // nil: nobody can be asked
	ctx   context.Context
	most  int // questions at once

	mu    sync.Mutex
	found Readiness
}

func (e *Engine) newReadiness(ctx context.Context, p Policy) *readiness {
	r := &readiness{e: e, asker: e.with.Prechecker, ctx: ctx, most: p.withDefaults().Concurrency}
	now := e.now()
	r.found.At, r.found.NextOpen = now, p.NextOpen(now)
	return r
}

// ask asks about agents, and looks which plans hold them, but for those named: the plan itself, which comes first, and
// its source. No plan is named for a Preview.
func (r *readiness) ask(agents iter.Seq2[Attempt, error], but ...string) error {
	c := conflictSearch{engine: r.e, but: but}
	if err := c.begin(r.ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(r.ctx)
	g.SetLimit(r.most)
	var failed error
	for a, err := range agents {
		if err == nil {
			err = c.add(r.ctx, a.Agent)
		}
		if failed = err; failed != nil || ctx.Err() != nil {
			break
		}
		if r.asker != nil {
			g.Go(func() error { return r.one(ctx, a) })
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
	if failed == nil && len(but) > 0 {
		failed = c.kept(r.ctx, but[0])
	}
	r.found.Conflicts, r.found.ConflictCount = c.found, c.total
	return failed
}

// one asks about one agent.
func (r *readiness) one(ctx context.Context, a Attempt) error {
	limited, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	p, _ := r.e.precheck(limited, r.asker, a)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found.Asked++
	*[...]*int{&r.found.Ready, &r.found.AtTarget, &r.found.Blocked, &r.found.Unreachable}[p.State]++
	if p.State >= PrecheckBlocked && len(r.found.Findings) < maxNamed {
		r.found.Findings = append(r.found.Findings, Finding{Agent: a.Agent, State: p.State, Reason: string(cleanLine(p.Reason))})
	}
	return nil
}
