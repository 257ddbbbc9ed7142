//go:build unix

package crashtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// story is a plan and what an operator does about it. It can be begun again at any point: every step looks first.
type story struct {
	ID     string
	Kind   kind
	Agents int
	Batch  int
	Shape  int // decides how the agents behave
}

type kind string

// The kinds of stories.
const (
	accept   kind = "accept"    // failures are accepted, the plan completes
	undo     kind = "undo"      // as accept, and then the plan is rolled back
	retry    kind = "retry"     // what failed is retried once, then accepted
	fallBack kind = "fall-back" // the plan rolls itself back at a breach
	cancel   kind = "cancel"    // the plan is canceled half way
)

// settled reports whether the end of every agent is the same, however the plan was interrupted.
func (k kind) settled() bool { return k == accept || k == undo }

func (s story) agents() []string {
	kinds := []string{"ok", "ok", "flaky", "ok", "fail", "ok", "busy", "ok", "never", "ok", "ok"}
	ids := make([]string, s.Agents)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%s-%03d", kinds[(i*(s.Shape+1)+s.Shape)%len(kinds)], s.ID, i)
	}
	return ids
}

func (s story) spec() ota.Spec {
	threshold := 0.25
	spec := ota.Spec{
		ID: s.ID, RequestKey: s.ID, Name: string(s.Kind), FromVersion: "1", ToVersion: "2",
		Agents: ota.AgentIDs(s.agents()...), Shape: ota.Shape{Size: s.Batch},
		Policy: ota.Policy{
			Concurrency: 5, FailureThreshold: &threshold, Soak: ota.Soak{Duration: 3 * time.Millisecond},
			Retry: ota.RetryPolicy{Max: 3, Backoff: 2 * time.Millisecond}, AttemptTimeout: time.Minute,
		},
	}
	if s.Kind == fallBack {
		spec.Policy.OnBreach = ota.ActionRollback
	}
	return spec
}

var operator = ota.Request{Actor: "operator"}

// tell does what the story asks for until it has ended. Somebody has to drive the plan meanwhile.
func (s story) tell(ctx context.Context, e *ota.Engine) error {
	p, err := e.Create(ctx, s.spec())
	if err == nil && p.Status == ota.StatusPending {
		_, err = e.Start(ctx, s.ID, operator)
	}
	for err == nil {
		if s.Kind == cancel {
			err = s.cancelHalfWay(ctx, e)
		}
		if err == nil {
			p, err = e.Wait(ctx, s.ID)
		}
		switch {
		case err != nil:
		case p.Status == ota.StatusPaused && p.Paused == nil:
			err = s.goOn(ctx, e, p)
		case p.Status == ota.StatusCompleted && s.Kind == undo:
			_, err = e.Rollback(ctx, s.ID, ota.RollbackSpec{}, operator)
			if err == nil {
				err = wait(ctx, 2*time.Millisecond)
			}
		case p.Status.Ended():
			return nil
		default: // paused by an operator, who says when it goes on
			err = wait(ctx, 5*time.Millisecond)
		}
	}
	return err
}

// goOn answers a breach.
func (s story) goOn(ctx context.Context, e *ota.Engine, p ota.Plan) error {
	by := operator
	decision := ota.Accept(p.Counts.Bad())
	if s.Kind == retry && p.Annotations["retried"] == "" {
		by.ID = "retry"
		decision = ota.RetryFailed()
	}
	_, err := e.Resume(ctx, s.ID, decision, by)
	if err == nil && by.ID != "" {
		_, err = e.Annotate(ctx, s.ID, map[string]string{"retried": "once"}, nil, operator)
	}
	if errors.Is(err, ota.ErrBreach) || errors.Is(err, ota.ErrState) { // it has moved on meanwhile
		return wait(ctx, time.Millisecond)
	}
	return err
}

func (s story) cancelHalfWay(ctx context.Context, e *ota.Engine) error {
	for {
		p, err := e.Plan(ctx, s.ID)
		if err != nil || p.Status != ota.StatusRunning {
			return err
		}
		if p.Counts.Succeeded >= s.Agents/2 {
			_, err = e.Cancel(ctx, s.ID, false, operator)
			return err
		}
		if err := wait(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// manyAgents are agents that all succeed.
func manyAgents(n int) iter.Seq2[ota.Agent, error] {
	return func(yield func(ota.Agent, error) bool) {
		for i := range n {
			if !yield(ota.Agent{ID: fmt.Sprintf("ok-%06d", i)}, nil) {
				return
			}
		}
	}
}
