package executortest

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/kit"
)

// env is what a case works with: an executor whose agents run FromVersion, and helpers that stop
// the case at the first broken rule.
type env struct {
	ctx  context.Context
	exec ota.Executor
	bare ota.Executor // exec without Options.Wrap
	opt  Options
}

func newEnv(x ota.Executor, opt Options) *env {
	return &env{exec: opt.Wrap(x), bare: x, opt: opt}
}

func (e *env) skip(reason string) { kit.Skip(reason) }

// that stops the case unless held. The failure text is the rule, then what was seen.
func (e *env) that(rule string, held bool, format string, args ...any) {
	kit.That(rule, held, format, args...)
}

func (e *env) ok(rule string, err error) {
	e.that(rule, err == nil, "got error %v", err)
}

// attempt is the first attempt to upgrade the agent with index i, in a plan of the given ID.
func (e *env) attempt(plan string, i int) ota.Attempt {
	return ota.Attempt{
		Plan: plan, Agent: e.opt.Agents[i], Number: 1, FromVersion: e.opt.FromVersion, ToVersion: e.opt.ToVersion, Epoch: 1,
	}
}

// back is the first attempt to take a back again.
func (e *env) back(a ota.Attempt) ota.Attempt {
	a.Plan += "-back"
	a.FromVersion, a.ToVersion, a.IsRollback = a.ToVersion, a.FromVersion, true
	return a
}

// repeated is the same attempt as the next owner of the plan makes it.
func repeated(a ota.Attempt) ota.Attempt {
	a.Epoch++
	a.Repeat = true
	return a
}

const ruleUpgrade = "Execute brings an agent that is well to the target, and returns no error"

// upgrade makes a call that has to succeed, and looks at what it reports.
func (e *env) upgrade(rule string, a ota.Attempt) ota.Result {
	res, err := e.exec.Execute(e.ctx, a)
	e.ok(rule, err)
	e.reports(a, res)
	e.runs(rule, a.Agent, a.ToVersion)
	return res
}

func (e *env) reports(a ota.Attempt, res ota.Result) {
	e.that("the version that is reported is the target, or empty when the agent was not asked",
		res.Version == "" || res.Version == a.ToVersion, "got %q, want %q", res.Version, a.ToVersion)
}

// runs compares the version of an agent, where that can be observed.
func (e *env) runs(rule, agent, want string) {
	if e.opt.Version == nil {
		return
	}
	got, err := e.opt.Version(e.bare, agent)
	e.ok("Options.Version returns no error", err)
	e.that(rule, got == want, "agent %s runs %q, want %q", agent, got, want)
}

// effects is how often an agent was changed, or -1 when that cannot be observed.
func (e *env) effects(agent string) int {
	if e.opt.Effects == nil {
		return -1
	}
	n, err := e.opt.Effects(e.bare, agent)
	e.ok("Options.Effects returns no error", err)
	return n
}

// needEffects skips the case when effects cannot be observed.
func (e *env) needEffects() {
	if e.opt.Effects == nil {
		e.skip("Options.Effects is nil: nobody can tell how often an agent was changed")
	}
}

// still expects that an agent was changed no further.
func (e *env) still(rule, agent string, want int) {
	got := e.effects(agent)
	e.that(rule, got == want, "agent %s was changed %d times, want %d", agent, got, want)
}

// reply is how a call ended.
type reply struct {
	res ota.Result
	err error
}

// start makes a call in the background. A panic of it is its error.
func (e *env) start(ctx context.Context, a ota.Attempt) <-chan reply {
	out := make(chan reply, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				out <- reply{err: fmt.Errorf("panic: %v", p)}
			}
		}()
		res, err := e.exec.Execute(ctx, a)
		out <- reply{res, err}
	}()
	return out
}

// within waits for a call to return.
func (e *env) within(rule string, d time.Duration, out <-chan reply) reply {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case r := <-out:
		return r
	case <-t.C:
		e.that(rule, false, "got no answer within %v", d)
		return reply{}
	}
}
