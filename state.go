package ota

import (
	"time"

	"github.com/seed-19b57ce3/ota/internal/queue"
)

// state is one plan as its owner works on it: both stored halves, the open batches, a few pages of
// agents, and queues over them. Only the goroutine of the plan's owner uses it.
//
// Folding and deciding change it in place. After a failed commit the session drops it and loads it
// again. Nothing here reads a clock, a random number or a store.
type state struct {
	id           string
	spec         planSpec
	c            planControl
	p            planProgress
	loggedStatus Status    // status in the newest log record
	head         Head      // of the plan's newest commit
	stillSince   time.Time // when the plan was first seen to wait for what head does not say
	over         bool      // the plan had ended when it was loaded, so its control number is final
	same         sameness

	controlNumber  uint64
	progressNumber uint64
	epoch          uint64

	batches   map[int]*batch
	lastBatch *batch // cache of batch: the last one looked up
	rows      rowCache
	queue     queues
	in        input // not folded yet

	probing probing
	group   comparison
	// gating: a question to the Gater is out. asksGate: dispatch sends one.
	gating, asksGate bool
	asks             []ask // dispatch fills in their attempts and sends them
	calls            callsView
	change           change
	urgents          int // urgent agents
	down             downAgents
	toJudge          []int // batches whose failures changed, or whose policy was edited
	batchClock       batchClock
	deciding         view // buffer of decideAll
	shared           sharedAttempt
}

// sharedAttempt is the attempt of all plain agents, as of a Control number. It never changes once
// calls have it.
type sharedAttempt struct {
	attempt *Attempt
	control uint64
}

// batch is the row of a batch as its owner works on it.
type batch struct {
	batchRow
	step  uint64 // number of the change that wrote it last
	judge bool   // it is in toJudge
}

// callsView is what the shell knows of the world around the plan. The core reads it and never
// stores it.
type callsView struct {
	abilities
	surroundings
}

// abilities are the companions that the Executor has. They never change.
type abilities struct {
	prober, prechecker, inspector, gater bool
}

// surroundings are what may change from turn to turn.
type surroundings struct {
	draining bool // the engine is shutting down
	leaseOut bool // the lease is about to expire
	// No new questions: the Store refused a commit a moment ago and could refuse an answer too, or
	// the driver is about to end.
	muted  bool
	source bool // of a rollback: its source has nothing in flight

	refusal   cleaned       // the Store's refusal that blocks the rollback; empty: none
	untouched []unconfirmed // of a rollback: unconfirmed tasks that proved unchanged
	bad       []int         // of a rollback: unconfirmed agents that proved bad
}

// asks reports whether the core may ask questions now.
func (c *callsView) asks() bool { return !c.draining && !c.leaseOut && !c.muted }

// input is what the shell passes to the core: outcomes of calls, reports, and answers to questions.
type input struct {
	outcomes  []outcome
	reports   []reported
	health    []healthReport
	probes    []probeAnswer
	gates     []gateAnswer
	inspects  []inspectAnswer
	prechecks []precheckAnswer
	// the Store's reason for refusing a commit for good; it replaces the input that was refused
	refusal cleaned
	inbox   uint64 // with refusal: number of the last inbox message that was refused too
}

func (in input) empty() bool {
	return in.refusal == "" && len(in.outcomes)+len(in.reports)+len(in.health)+len(in.gates)+len(in.probes)+len(in.inspects)+len(in.prechecks) == 0
}

// add appends more input.
func (in *input) add(more input) {
	in.outcomes = append(in.outcomes, more.outcomes...)
	in.reports = append(in.reports, more.reports...)
	in.health = append(in.health, more.health...)
	in.probes = append(in.probes, more.probes...)
	in.inspects = append(in.inspects, more.inspects...)
	in.gates = append(in.gates, more.gates...)
	in.prechecks = append(in.prechecks, more.prechecks...)
	in.inbox = max(in.inbox, more.inbox)
	if more.refusal != "" {
		in.refusal = more.refusal
	}
}

// change is what one step has changed. It is committed before anything that it implies is done.
type change struct {
	step    uint64
	log     recordWriter
	agents  []int     // ordinals of changed rows
	batches []int     // indexes of changed batches
	starts  []started // calls to make after the commit
	// Outcomes of these calls were reported, so the calls are over.
	reportedCalls []callKey
	bump          bool // raise the control number: there is a new breach, or the plan has ended
	again         bool // step has more to do at once

	abandoned bool      // the change records abandoned calls
	givenUp   []givenUp // attempts that an operator has given up
	released  []string  // agents whose claims end after this commit
}

// started is an attempt whose call is made after the commit.
type started struct {
	ordinal int
	task    int
}

// batch returns a batch that is in memory, or nil.
func (s *state) batch(i int) *batch {
	if s.lastBatch == nil || s.lastBatch.Index != i {
		s.lastBatch = s.batches[i]
	}
	return s.lastBatch
}

func (s *state) event(e Event) { s.change.log.add(&e) }

// taskEvent records an event of one task.
func (s *state) taskEvent(kind EventKind, r *cachedRow, task int, why Reason, text string) {
	e := Event{Kind: kind, Batch: r.Batch, Agent: r.Agent.ID, Task: task, Reason: why, Text: text}
	if kind == EventTaskStarted || kind == EventTaskRepeated {
		e.Number = int(r.State.task(task).Number)
	}
	s.change.log.add(&e)
}

// dirty adds a row to the change under way, once.
func (s *state) dirty(r *cachedRow) {
	if r.step != s.change.step {
		r.step = s.change.step
		s.change.agents = append(s.change.agents, r.Ordinal)
	}
}

func (s *state) dirtyBatch(b *batch) {
	if b.step != s.change.step {
		b.step = s.change.step
		s.change.batches = append(s.change.batches, b.Index)
	}
}

// markChanged records that task i may have changed its agent.
func (s *state) markChanged(r *cachedRow, i int) {
	r.State.task(i).Changed = true
	s.setFlag(r, agentChanged, true)
}

// setTask moves a task to a status, and updates the counters.
func (s *state) setTask(r *cachedRow, i int, to TaskStatus) {
	t := r.State.task(i)
	b := s.batch(r.Batch)
	b.Tasks.move(t.Status, to)
	s.p.Tasks.move(t.Status, to)
	t.Status = to
	s.dirty(r)
	s.dirtyBatch(b)
}

// setAgent moves an agent to a status. It updates the counters, the agent's slot, and how long its
// row stays in memory.
func (s *state) setAgent(r *cachedRow, to TaskStatus) {
	from := r.State.Status
	if from == to {
		return
	}
	if from == TaskSucceeded {
		// The open question is about an agent that had succeeded.
		s.setProbing(r, false)
	}
	if from == TaskPending {
		s.leaveGroup(r.Ordinal)
	}
	b := s.batch(r.Batch)
	b.Counts.move(from, to)
	s.p.Counts.move(from, to)
	s.countEvidence(b, r, -1)
	if r.is(agentDown) {
		s.countDown(r, -1)
	}
	r.State.Status = to
	s.countEvidence(b, r, 1)
	if r.is(agentDown) {
		s.countDown(r, 1)
	}
	s.queue.lanes.turns.stale = true
	if bad(from) != bad(to) {
		if r.is(agentWasBad) { // its failure counts as accepted: nothing got worse
			b.Accepted += difference(bad(to))
			s.p.Accepted += difference(bad(to))
		}
		s.judgeLater(b)
	}
	s.rows.countBusy(r, busy(from), busy(to))
	s.dirty(r)
	s.dirtyBatch(b)
	if to.Finished() || to == TaskPending {
		s.setFlag(r, agentOpen, false)
		s.setFlag(r, agentUrgent, false)
		s.endStraggler(r)
	}
}

// setFlag sets or clears one flag of an agent, and updates its counter.
func (s *state) setFlag(r *cachedRow, f agentFlags, on bool) {
	if r.State.Flags&f != 0 == on {
		return
	}
	by := difference(on)
	if on {
		r.State.Flags |= f
	} else {
		r.State.Flags &^= f
	}
	b := s.batch(r.Batch)
	switch f {
	case agentOpen:
		b.Open += by
		s.p.Open += by
		if by < 0 && s.c.Policy.Expect != nil {
			s.judgeLater(b) // Expect tolerates less of fewer agents
		}
		s.queue.lanes.count(r, by)
		if by < 0 && r.State.Status == TaskWaiting {
			s.beginTurn(r) // its value stays in use without the slot
		}
	case agentChanged:
		b.Changed += by
		s.p.Changed += by
	case agentAtTarget:
		b.Counts.AtTarget += by
		s.p.Counts.AtTarget += by
	case agentUnhealthy:
		b.Unhealthy += by
	case agentUrgent:
		s.urgents += by
	case agentStraggler:
		s.countStraggler(b, by)
	case agentDown:
		s.countDown(r, by)
		s.queue.lanes.countDown(r, by, s.queue.checks.of[r.Ordinal] != nil)
	}
	s.dirty(r)
	s.dirtyBatch(b)
}

// difference is how a counter changes when something begins to count, or ends.
func difference(begins bool) int {
	if begins {
		return 1
	}
	return -1
}

// releaseClaim ends the plan's claim on an agent that it has not changed and will not call again. A
// rollback plan keeps its claims: its source may continue with these agents.
func (s *state) releaseClaim(r *cachedRow) {
	if s.spec.Source != "" || r.is(agentChanged) {
		return
	}
	s.setFlag(r, agentReleased, true)
	s.change.released = append(s.change.released, r.Agent.ID)
}

func (r *cachedRow) is(f agentFlags) bool { return r.State.Flags&f != 0 }

// current is the batch in progress, or nil when all are closed.
func (s *state) current() *batch { return s.batch(s.p.Batch) }

func (s *state) status() Status { return statusOf(&s.c, &s.p) }

// ask is a question to the Executor's companions.
type ask struct {
	kind       askKind
	task       int     // of the agent
	attempt    Attempt // what the question is about
	ordinal    int
	number     uint32
	batch      int       // of askGate
	finishedAt time.Time // of askGate: since when the batch soaks
	compared   *agentRow // of askProbe: an agent that the plan has not begun
}

type askKind uint8

const (
	askProbe    askKind = iota + 1 // is the agent healthy?
	askInspect                     // how did the attempt end?
	askGate                        // is the batch good enough?
	askPrecheck                    // may the agent start?
)

// healthReport is one report of ReportHealth.
type healthReport struct {
	agent   string
	healthy bool
	at      int64
	reason  cleaned
	message uint64 // number of the inbox message
	found   bool   // the row was looked up
	ordinal int    // -1: the plan has no such agent
}

// orderChunk is how many rows of an order one commit carries out.
const orderChunk = 500

// queues list the agents of the current batch that come next, in this order: repeats of lost
// attempts, agents with finished tasks, due retries, unreachable agents that are due, pending
// agents. They are rebuilt from the rows, never stored.
type queues struct {
	repeats queue.FIFO // lost attempts; the agents hold a slot, or need none
	partly  queue.FIFO // between two tasks; the agents hold a slot
	retries queue.FIFO // due; the agents hold a slot
	// Due agents without a slot: they were unreachable, or a retry interrupted their batch.
	back queue.FIFO
	down queue.FIFO // agents without a slot that are down: they start first
	// Agents before this ordinal are not pending, except those in blocked and passed.
	next          int
	passed        queue.MinSet   // pending agents that are queued in a lane or prechecked
	lanes         lanes          // the budgets, and the agents that wait for room in one
	checks        checks         // of agents that are prechecked
	blocked       []blockedAgent // agents whose abandoned call has not returned
	urgent        []int          // urgent agents that are due, of all batches
	inspect       queue.FIFO     // lost attempts to ask the Inspector about
	timers        queue.Timers   // of waiting agents of all batches
	orderRows     []*cachedRow   // loaded for an order; nil: not loaded
	moreOrderRows bool           // the order has more rows than these
}

// The kinds of timers.
const (
	timerAttempt = iota // the agent waits for an attempt
	timerHealth         // the agent is unhealthy, and fails if it still is
	timerBlocked        // an abandoned call blocks the agent of a rollback, which fails if it still does
)

// blockedAgent is an agent that takes no other attempt while an abandoned call for it is out.
type blockedAgent struct {
	ordinal int
	agent   string
	own     bool   // this engine made the call for this plan
	other   bool   // another plan or engine made a call
	engine  string // that engine
	foreign bool   // the call is of another plan: a repeat and a retry have to wait for it, too
	pending bool   // the agent is pending; unblocking it moves queues.next back to it
	since   int64  // of a rollback, while it is pending: since when it is blocked
	// the agent waits, and was taken out of this queue; unblocking it puts it back
	parked *queue.FIFO
}

// waits reports whether the agent would be called next if it were not blocked.
func (b *blockedAgent) waits() bool { return b.pending || b.parked != nil }

// reported is an outcome from a report.
type reported struct {
	outcome
	message uint64 // number of the inbox message
	found   bool   // the row was looked up; an ordinal of -1 means that the plan has no such agent
}

// unconfirmed is a task of a rollback that was in flight in the source when the source was frozen.
type unconfirmed struct{ ordinal, task int }
