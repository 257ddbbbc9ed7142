package ota

import "context"

// Waiting makes an Executor for agents that report later: to upgrade one, begin tells it to, and how that ended reaches
// Engine.ReportOutcomes by whatever way reports take, minutes or days afterwards, in this process or in another one.
//
// begin gets the attempt and returns once the agent has taken it over. It passes on what the report has to name: the
// attempt's Key, or the plan, the agent, the task and the number. An error of begin is the attempt's outcome, marks
// count, and nothing is waited for: so an agent that begin calls Unreachable costs nothing until it is asked again. After
// a crash begin is called again for the same Key; the agent must take both as one.
//
// The call then waits for the report, in flight like any other: it holds a slot of Concurrency and costs a goroutine.
// The plan's AttemptTimeout bounds the wait, and is to be set to what such agents need: a report after it is too late. A
// report counts from the moment when the attempt is in the Store, so none can come too early; not even one that comes
// before begin has returned.
//
// An Executor of one's own can take reports too: when one was committed, the context of the attempt's call ends, and
// what the call returns counts for nothing.
func Async(begin func(ctx context.Context, a Attempt) error) Executor { return waiting(begin) }

type waiting func(ctx context.Context, a Attempt) error

// Execute implements Executor.
func (begin waiting) Execute(ctx context.Context, a Attempt) (Result, error) {
	if err := begin(ctx, a); err != nil {
		return Result{}, err
	}
	<-ctx.Done() // reported, at its limit, or given up with the plan or the engine
	return Result{}, ctx.Err()
}
