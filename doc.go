// Package ota carries an upgrade through a fleet. You hand it a way to upgrade one agent (an [Executor]) and a place to
// keep state (a [Store]); it makes plans of batches and carries them out: with limited concurrency, a pause the moment too
// many upgrades fail, a soak after every batch, a rollback of exactly what was touched, and an answer, at any time, to
// what it is doing and why. It is a library, not a service: it runs inside your program, starts nothing by itself, and
// goes on where it was when that program is killed.
//
// # Where to start
//
// Make an [Engine] with [New], a plan with [Engine.Create], start it with [Engine.Start], and drive it with [Engine.RunPlan]
// (one plan, in the foreground) or [Engine.Run] (all plans of the Store, until the context ends). The examples of those
// methods run as they are, without a fleet. To try a plan before it touches anything, use [Simulate]. Package otatest has
// a fleet for tests; packages storetest and executortest check a Store and an Executor of your own; module sqlstore keeps
// plans in SQLite or PostgreSQL.
//
// # Words
//
// One word is one thing, everywhere: in Go, in the log, in errors.
//
//	Agent      what is upgraded, known by its ID; what concurrency and thresholds count
//	Task       the work on one component of an agent; an agent has one, or those that a Resolver tells, done
//	           one after the other
//	Batch      the agents that are upgraded before the next batch may start
//	Plan       an ordered list of batches from one version to another, with its limits
//	Start      the commit that makes a task running; not the call that follows it
//	Attempt    one start of a task, and the calls of the Executor made for it; its Key stays the same
//	           when a call is repeated after a crash
//	Outcome    how an attempt ended
//	In flight  running: started, and the outcome is not committed
//	Open       holds a slot: in flight, or waiting for a retry or a repeat
//	Settled    ended: succeeded, failed, skipped, canceled or unknown
//	Touched    may have been changed
//	Away       did not answer, or asked to come back later, and was not changed
//	Breach     a verdict that struck, for example the failure threshold: a record that stands until
//	           Resume answers it, not a condition
//	Observe    the soak after a batch
//	Verb       what people say to a plan: Start, Pause, Resume, Cancel, Promote, Skip, Retry, Edit,
//	           Annotate, CreateRollback, Rollback
//	Owner      the engine that drives a plan; each ownership has an epoch, one higher than the last
//	Reason     the one word that says why
//
// # States
//
// A plan:
//
//	                           last batch closed
//	pending ──Start──▶ running ─────────────────▶ completed
//	   │                │   ▲
//	   │   Pause, breach│   │Resume
//	   │                ▼   │
//	   │             pausing ──nothing in flight──▶ paused ──Resume──▶ running
//	   │
//	   └──Cancel──▶ canceled
//
//	running, pausing, paused ──Cancel──▶ canceling ──nothing in flight──▶ canceled
//
//	any of these but pending ──Rollback──▶ rolling_back ──rollback plan completed──▶ rolled_back
//
// There is no status "failed". Too many failures pause a plan, with the reason; only its last batch, Cancel and Rollback
// end it. A rollback is a plan of its own; when that one is canceled, a source that had ended is what it was before, and any
// other is paused. LegalVerbs tells what may be said in which status, and docs/states.md has the whole table.
//
// A batch:
//
//	pending ──▶ running ──all settled──▶ observing ──passed──▶ completed
//	               │ ▲                       │  │                  │
//	               │ └────────Retry──────────┘──│──────Retry───────┘ (to running)
//	               └──────────Cancel────────────┴──▶ canceled
//
// A batch in which nothing was changed, or for which nothing is to be observed, is completed as soon as it has settled.
// The current batch is the lowest that is not completed, so a batch whose failures are retried holds the later ones back.
//
// A task, and the agent it belongs to:
//
//	pending ──Start──▶ running ──▶ succeeded, failed, skipped, canceled, unknown
//	                    ▲   │
//	               due  │   ▼  failed with a try left; away; its call was lost in a crash
//	                   waiting
//
// Unknown means interrupted without a definite answer; it counts as failed. A success turns into a failure when the agent
// is reported unhealthy while its batch is observed. Retry puts the failed and the unknown back to pending.
//
// # What is promised
//
//  1. At most Policy.Concurrency agents are open at once, and no agent of a batch starts before every earlier batch has settled,
//     was observed, and passed. Lowering Concurrency ends no call that was made.
//  2. After the commit that records a breach nothing starts until somebody decides. Failures during upgrade are outcomes of
//     attempts, never of a timer. So at most M + C agents of a batch fail during upgrade between two decisions: M are tolerated, C
//     are open. With Policy.Reserve it is M + 1. Agents that turn unhealthy after their upgrade are bounded only by the size
//     of the batch. With the action [ActionContinue] nothing bounds either. A Retry that reopens an earlier batch is a decision too:
//     agents of later batches that wait give their slots back then, and may fail besides.
//  3. Counters equal the rows they count at every commit. No commit is without an event in the log, no change without a
//     commit.
//  4. Kill the process at any moment: afterwards no completed task runs again, none is lost, and the end is that of an
//     undisturbed run, up to the attempts that were in flight. Those are called again with the same Key, and count as
//     touched. That the two calls of one Key have one effect is the Executor's part. That a commit is durable is the Store's.
//  5. Of two engines on one Store only one can write a plan's progress, and an attempt is made again only under a higher epoch.
//     An engine looks at its lease, by its own monotonic clock, before each call. A call that has begun may still be
//     at work when the next owner repeats it: nothing but the Executor, by Key and Epoch, can tell the two apart. Without
//     a Store that is a [Leaser], the last engine to start driving a plan owns it.
//  6. A rollback takes back exactly the agents that may have been changed, each to the version that it had, as far as the Spec told it,
//     and never causes another rollback. Agents without a known version, and agents that a later plan has changed, are left out, and listed
//     in the rollback plan's Warnings. Of an agent whose call was lost nobody knows whether it was changed: it is taken back.
//  7. A plan that has not ended and makes no progress has a non-empty [Engine.Explain].
//  8. The log of a plan has one record for each commit, numbered without gap. [Engine.Watch] replays and follows it without
//     loss or duplicate; a slow reader slows nobody. The log grows with the plan, and goes with it: see [Pruner].
//  9. An agent whose call has not returned is not called for anything else, even after its plan has ended: Start of
//     another plan is refused with a *[ClaimError], and a rollback takes the agent last. This ends when the call
//     returns, or when the process that made it is gone, that is, when the lease of its engine instance has ended.
//     Within one process it holds for a plan and its rollback with any Store; across processes and plans it needs a
//     [Claimer] that is a [Leaser]. A repeat of the same attempt by the next owner is the exception: see 5.
//
// # Who owns what
//
// The Store is authoritative for everything that is written above; the memory of an engine for nothing. A plan's state has two
// halves. Control is what people want: verbs write it, from any process. Progress is what happened: only the plan's owner writes it, under its
// epoch. The status of a plan is computed from both, never set. A verb is durable when its method returns; after
// Pause has returned no commit, in any process, makes a task running.
//
// The fleet belongs to the Executor: what an agent really runs is what the Executor says, when it says it. The clock
// belongs to the engine, except for leases, which go by the Store's.
//
// # For authors of Stores
//
// These are the contract between the engine and a [Store]; who uses a Store that there is may skip them. What may be
// implemented: Store, [Leaser], [Notifier], [Claimer], [Inbox], [Pruner]. What is written: [NewPlan], [Created],
// [Commit]. What is kept and read: [PlanRow], [PlanSpec], [Control], [Progress], [BatchRow], [AgentRow], [AgentSpec],
// [AgentState], [AgentFlags], [AgentMore], [TaskState], [TaskMore], [LogRow], [Message], and, in Control, [Order],
// [OrderKind], [Request], [RollbackRef], [Stop]. Only [PlanQuery], [RowQuery] and [Page] are for callers of the Engine too,
// and Prune of a [Pruner] for whoever cleans up.
//
// # For authors of wrappers
//
// A wrapper of a Store or an [Executor], for logs, metrics or tests, has a method Unwrap that returns what it wraps. Without
// it the optional interfaces of the wrapped value are hidden, and [New] refuses the wrapper. [As] finds an optional
// interface behind wrappers, [Companions] lists them.
package ota
