// Package ota rolls out upgrades to a fleet in batches. It limits how many agents are upgraded at
// once, pauses when too many fail, observes each batch after its upgrade, and can roll back exactly
// the agents it changed. At any time it answers what it is doing, and why. You provide a way to
// upgrade one agent (an [Executor]) and a place to keep state (a [Store]). It is a library, not a
// service: it runs inside your program and starts nothing by itself. When that program is killed,
// the next one continues where it stopped.
//
// # Where to start
//
// Make an [Engine] with [New] and a plan with [Engine.Create], and start the plan with
// [Engine.Start]. [Engine.RunPlan] drives one plan in the foreground; [Engine.Run] drives all plans
// of the Store until its context ends. The examples of those methods run as they are, without a
// fleet. Package simulate tries a plan before it touches anything. A [Stepper] drives a plan
// inside another engine. Package otatest has a fleet for tests.
// Packages storetest and executortest check a Store and an Executor of your own. Module sqlstore
// keeps plans in SQLite or PostgreSQL.
//
// # Words
//
// One word is one thing, everywhere: in Go, in the log, in errors.
//
//	Agent      what is upgraded, named by its ID; Concurrency and thresholds count agents
//	Task       the work on one component of an agent; an agent has one task, or those that a
//	           Resolver returns, done one after the other
//	Batch      the agents that are upgraded before the next batch may start
//	Plan       an ordered list of batches from one version to another, with its limits
//	Start      the commit that makes a task running; the call to the Executor follows it
//	Attempt    one start of a task, and the calls of the Executor made for it; its Key stays the
//	           same when a call is repeated after a crash
//	Outcome    how an attempt ended
//	In flight  running: the start is committed, and the outcome is not
//	Open       has a slot: in flight, or waiting for a retry or a repeat
//	Finished   ended: succeeded, failed, skipped, canceled or unknown
//	Changed    may have been changed by the plan; a rollback takes it back
//	Down       does not serve: an attempt that may have changed it failed, or it is unhealthy
//	Away       did not answer, or asked to come back later, and was not changed
//	Breach     a recorded rule violation, for example too many failures; it stays open until
//	           Resume resolves it, even if the cause goes away
//	Soak       the time in which a batch is observed after its upgrade
//	Verb       a command to a plan: Start, Pause, Resume, Cancel, Promote, Skip, Retry, Now,
//	           GiveUp, Edit, Annotate, CreateRollback, Rollback
//	Owner      the engine that drives a plan; each new owner has an epoch, one higher than the last
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
// There is no status "failed". Too many failures pause a plan, with the reason. A plan ends only
// with its last batch, with Cancel, or with Rollback. A rollback is a plan of its own. When the
// rollback plan is canceled, a source that had ended returns to the status it had before; any other
// source is paused. LegalVerbs lists the verbs that are legal in a status, and docs/states.md has
// the whole table.
//
// A batch:
//
//	pending ──▶ running ──all finished──▶ observing ──passed──▶ completed
//	               │ ▲                        │  │                  │
//	               │ └────────Retry───────────┘──│──────Retry───────┘ (to running)
//	               └──────────Cancel─────────────┴──▶ canceled
//
// A batch is completed as soon as it has finished if it changed nothing, or if the policy observes
// nothing and the Executor is no [Prober]. With a Prober, every agent that the batch changed has to
// give a healthy answer after its success; silence is a failure. The current batch is the lowest
// that is not completed. So a batch whose failures are retried blocks the later ones.
//
// A task, and the agent it belongs to:
//
//	pending ──Start──▶ running ──▶ succeeded, failed, skipped, canceled, unknown
//	                    ▲   │
//	               due  │   ▼  failed with a try left; away; its call was lost in a crash
//	                   waiting
//
// Unknown means interrupted without a definite answer; it counts as failed. A success turns into a
// failure when the agent is reported unhealthy while its batch is observed. Retry returns failed
// and unknown tasks to pending, and so does an outage: see [Soak].Compare.
//
// # What is promised
//
//  1. At most Policy.Concurrency agents are open at once. No agent of a batch starts before every
//     earlier batch has closed: it has finished, was observed, and passed. An operator may ask for
//     an agent with [Engine.Now]. With [Stragglers], a batch goes on without few agents that are
//     out; no plan is completed before these have ended. Lowering Concurrency ends no call.
//  2. After the commit that records a breach, nothing starts until an operator decides. Failures
//     during upgrade are outcomes of attempts, never of a timer. So at most M + C agents of a batch
//     fail during upgrade between two decisions: M are tolerated, C are open. With Policy.Reserve
//     it is M + 1. Policy.Expect does not count agents that were away until their last answer.
//     Only the size of the batch limits how many agents turn unhealthy after their
//     upgrade. With the action [ActionContinue] there is no limit for either. A Retry that reopens
//     an earlier batch is a decision too: waiting agents of later batches then give their slots
//     back, and may fail in addition.
//     Failures during an outage that also hits agents which the plan has not begun pause the plan,
//     and are judged again: see Soak.Compare. They never cause a rollback.
//  3. Counters equal the rows they count at every commit. Each commit has at least one event in the
//     log, and each change is part of a commit.
//  4. The process may be killed at any moment. Afterwards no completed task runs again and none is
//     lost. The end is that of an undisturbed run, except for the attempts that were in flight:
//     these are called again with the same Key, and count as changed. The Executor must give the
//     two calls of one Key one effect. The Store must make a commit durable.
//  5. Of two engines on one Store, only one can write a plan's progress. An attempt is made again
//     only under a higher epoch. An engine checks its lease, by its own monotonic clock, before
//     each call. A call that has begun may still be at work when the next owner repeats it. Only
//     the Executor can distinguish the two calls, by Key and Epoch. Without a Store that is a [Leaser],
//     the last engine to start driving a plan owns it.
//  6. A rollback takes back exactly the agents that may have been changed, each to the version it
//     had, as far as the Spec gave it. It never causes another rollback. It leaves out agents
//     without a known version, and agents that a later plan has changed; the rollback plan's
//     Warnings list them. An agent whose call was lost may have been changed, so it is taken back.
//     By default it waits for nothing but its own calls, which [RollbackSpec] explains. Agents that
//     did not work come first; if they fail again, that does not stop the others.
//  7. A plan that has not ended and makes no progress has a non-empty [Engine.Explain].
//  8. The log of a plan has one record for each commit, numbered without gap. [Engine.Watch]
//     replays and follows it without loss or duplicate; a slow reader delays nothing else. The log
//     grows with the plan, and is deleted with it: see [Pruner].
//  9. An agent whose call has not returned is not called for anything else, even after its plan has
//     ended. Start of another plan is refused with a *[ClaimError], and a rollback takes the agent
//     last. This ends when the call returns, or when the process that made it is gone, that is,
//     when the lease of its engine instance has ended. Within one process this is true for a plan
//     and its rollback with any Store; across processes and plans it needs a [Claimer] that is a
//     [Leaser]. A repeat of the same attempt by the next owner is the exception: see 5.
//
// # Who owns what
//
// The Store is the only source of truth for everything above; an engine's memory is just a cache. A
// plan's state has two halves. Control is what operators want: verbs write it, from any process.
// Progress is what happened: only the plan's owner writes it, under its epoch. The status of a plan
// is computed from both, never set. A verb is durable when its method returns. After Pause has
// returned, no commit of any process makes a task running.
//
// The fleet belongs to the Executor: an agent runs what the Executor reports, at the time of the
// report. The clock belongs to the engine, except for leases, which use the Store's clock.
//
// # For authors of Stores
//
// These types are the contract between the engine and a [Store]; users of an existing Store may
// skip them. An author may implement Store, [Leaser], [Notifier], [Claimer], [Inbox] and [Pruner].
// A Store keeps a [PlanRow] with its [Names], [Head], [Numbers] and [Parts], the [Row]s of each
// [Kind], and a log of [LogRow]s. It applies a [Commit], and answers a [PlanQuery], a [RowQuery]
// and a [LogQuery] with a [Page]. [Sort], [Label] and [Message] belong to them. [Describe] shows
// bytes as JSON. [Image] is one plan in memory, for a Store that has no better way; docs/store.md
// has an example. Callers of the Engine use only PlanQuery, [AgentQuery] and Page of these, and
// Prune of a Pruner for cleaning up.
//
// # For authors of wrappers
//
// A wrapper of a Store or an [Executor], for logs, metrics or tests, has a method Unwrap that
// returns what it wraps. Without it the optional interfaces of the wrapped value are hidden, and
// [New] refuses the wrapper. [As] finds an optional interface behind wrappers, [Companions] lists
// them.
package ota
