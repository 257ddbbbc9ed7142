package ota

import "context"

// Async makes an Executor for agents that report later. begin tells the agent to upgrade. The
// report of the outcome reaches Engine.ReportOutcomes minutes or days afterwards, in any process.
//
// begin gets the attempt, and returns once the agent has accepted it. begin passes on what the
// report must name: the attempt's Key, or the plan, the agent, the task and the number. After a
// crash the engine calls begin again with the same Key. The agent must treat both calls as one.
//
// An error of begin is the attempt's outcome, and the engine waits for no report. Marks such as
// Unreachable count. An agent that begin marks Unreachable therefore costs nothing until the next
// try.
//
// After begin the call waits for the report. Like any call in flight it has a slot of Concurrency,
// and it costs a goroutine. The plan's AttemptTimeout limits the wait: set it to what such agents
// need. A report after it is too late. A report is never too early, even before begin has returned,
// because the attempt is in the Store before the engine calls begin.
//
// Any other Executor can work with reports, too. Once a report is committed, the context of the
// attempt's call ends, and the result of the call is ignored.
func Async(begin func(ctx context.Context, a Attempt) error) Executor { return asyncExecutor(begin) }

type asyncExecutor func(ctx context.Context, a Attempt) error

// Execute implements Executor.
func (begin asyncExecutor) Execute(ctx context.Context, a Attempt) (Result, error) {
	if err := begin(ctx, a); err != nil {
		return Result{}, err
	}
	<-ctx.Done() // a report, the timeout, or the end of the plan or of the engine
	return Result{}, ctx.Err()
}
