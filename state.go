package ota

import (
	"time"

	"github.com/seed-19b57ce3/ota/internal/queue"
)

// state is one plan as its owner works on it: both halves, the batches at hand, a page of the agents, and queues over
// them. One goroutine owns it. Folding and deciding change it in place, so after a commit that failed it is thrown away
// and loaded again, never patched. Nothing here reads a clock, a random number or a store.
type state struct {
	id           string
	spec         PlanSpec
	c            Control
	p            Progress
	loggedStatus Status // the status that the newest log record tells
	over         bool   // the plan had ended when it was read: the Control number is that of its end
	same         sameness

	controlNumber  uint64
	progressNumber uint64
	epoch          uint64

	batches   map[int]*batch
	lastBatch *batch // the one looked up last
	rows      rowCache
	queue     queues
	in        input // what is not folded yet

	probing          probing
	gating, asksGate bool  // a question to the Gater is out, or is to be handed out
	asks             []ask // questions to hand out; their attempts are filled in then
	calls            callsView
	untouched        []unconfirmed // of a rollback: doubtful tasks that turned out untouched
	change           change
	toJudge          []int // batches whose failures changed, or whose limits were edited
}

// batch is a batch's row as its owner works on it.
type batch struct {
	BatchRow
	step  uint64 // the change in which it was last written
	judge bool   // it is in the list of those to be judged
}

// callsView is what the core is told about the world around it; it is never stored.
type callsView struct {
	draining   bool // the engine is shutting down
	leaseOut   bool // the lease is nearly out
	muted      bool // the Store has refused a commit a moment ago: an answer could be refused again
	prober     bool // the executor is a Prober
	prechecker bool // the executor is a Prechecker
	inspector  bool // the executor is an Inspector
	gater      bool // the executor is a Gater
	source     bool // the source of this rollback has nothing in flight

	refusal cleaned // why the Store will not let the rollback go on; empty when it does
}

// asks reports whether questions may be asked.
func (c *callsView) asks() bool { return !c.draining && !c.leaseOut && !c.muted }

// input is what the shell has to tell: outcomes of calls, reports of health, answers to questions.
type input struct {
	outcomes  []outcome
	reports   []reported
	health    []healthReport
	probes    []probeAnswer
	gates     []gateAnswer
	inspects  []inspectAnswer
	prechecks []precheckAnswer
	refusal   cleaned // why the Store refused for good what this came instead of; empty for nothing
	inbox     uint64  // of a refusal: the last message that was refused with the rest
}

func (in input) empty() bool {
	return in.refusal == "" && len(in.outcomes)+len(in.reports)+len(in.health)+len(in.gates)+len(in.probes)+len(in.inspects)+len(in.prechecks) == 0
}

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

// change is what one step has changed, to be committed before anything it implies is done.
type change struct {
	step          uint64
	log           recordWriter
	agents        []int // ordinals of changed rows
	batches       []int
	starts        []started
	reportedCalls []callKey // outcomes were reported: their calls are over
	bump          bool      // a new breach, or the end
	again         bool      // there is more to do at once

	abandoned bool     // calls were abandoned
	released  []string // agents that other plans may have once this is committed
}

// started is an attempt to call once its start is committed.
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

// taskEvent tells what became of a task.
func (s *state) taskEvent(kind EventKind, r *cachedRow, task int, why Reason, text string) {
	e := Event{Kind: kind, Batch: r.Batch, Agent: r.Agent.ID, Task: task, Reason: why, Text: text}
	if kind == EventTaskStarted || kind == EventTaskRepeated {
		e.Number = int(r.State.task(task).Number)
	}
	s.change.log.add(&e)
}

// dirty puts a row into the change under way, once.
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

// touch sets down that task i may have changed its agent.
func (s *state) markChanged(r *cachedRow, i int) {
	r.State.task(i).Changed = true
	s.setFlag(r, AgentChanged, true)
}

// setTask moves a task, and the counters with it.
func (s *state) setTask(r *cachedRow, i int, to TaskStatus) {
	t := r.State.task(i)
	b := s.batch(r.Batch)
	b.Tasks.move(t.Status, to)
	s.p.Tasks.move(t.Status, to)
	t.Status = to
	s.dirty(r)
	s.dirtyBatch(b)
}

// setAgent moves an agent, and with it the counters, its slot, and how long its row stays in memory.
func (s *state) setAgent(r *cachedRow, to TaskStatus) {
	from := r.State.Status
	if from == to {
		return
	}
	if from == TaskSucceeded {
		s.setProbing(r, false) // what is asked is about an agent that had succeeded
	}
	b := s.batch(r.Batch)
	b.Counts.move(from, to)
	s.p.Counts.move(from, to)
	r.State.Status = to
	if bad(from) != bad(to) {
		s.judgeLater(b)
	}
	s.rows.countBusy(r, busy(from), busy(to))
	s.dirty(r)
	s.dirtyBatch(b)
	if to.Finished() || to == TaskPending {
		s.setFlag(r, AgentOpen, false)
	}
}

// judgeLater has a batch judged once everything is folded.
func (s *state) judgeLater(b *batch) {
	if !b.judge {
		b.judge = true
		s.toJudge = append(s.toJudge, b.Index)
	}
}

// setFlag sets or clears one fact about an agent, and the counter that belongs to it.
func (s *state) setFlag(r *cachedRow, f AgentFlags, on bool) {
	if r.State.Flags&f != 0 == on {
		return
	}
	by := 1
	if on {
		r.State.Flags |= f
	} else {
		r.State.Flags &^= f
		by = -1
	}
	b := s.batch(r.Batch)
	switch f {
	case AgentOpen:
		b.Open += by
		s.p.Open += by
		s.queue.lanes.count(r, by)
	case AgentChanged:
		b.Changed += by
		s.p.Changed += by
	case AgentAtTarget:
		b.Counts.AtTarget += by
		s.p.Counts.AtTarget += by
	case AgentUnhealthy:
		b.Unhealthy += by
	}
	s.dirty(r)
	s.dirtyBatch(b)
}

// done ends what the plan has to do with an agent that it has not changed and never calls again. A rollback plan is done
// with none: its source may go on with them.
func (s *state) releaseClaim(r *cachedRow) {
	if s.spec.Source != "" || r.is(AgentChanged) {
		return
	}
	s.setFlag(r, AgentReleased, true)
	s.change.released = append(s.change.released, r.Agent.ID)
}

func (r *cachedRow) is(f AgentFlags) bool { return r.State.Flags&f != 0 }

// current is the batch that is being worked on, or nil when all are closed.
func (s *state) current() *batch { return s.batch(s.p.Batch) }

func (s *state) status() Status { return statusOf(&s.c, &s.p) }

// gateAnswer is what a Gater said about a batch.
type gateAnswer struct {
	batch      int
	finishedAt time.Time // of the observation that the question was about
	verdict    GateVerdict
	text       cleaned // of an error
}

// ask is a question.
type ask struct {
	kind       askKind
	task       int     // of the agent
	attempt    Attempt // what it is about
	ordinal    int
	number     uint32
	batch      int       // of askGate
	finishedAt time.Time // of askGate: since when the batch is observed
}

type askKind uint8

const (
	askProbe    askKind = iota + 1 // is the agent healthy?
	askInspect                     // what became of the attempt?
	askGate                        // was the batch good enough?
	askPrecheck                    // may the agent be started?
)

// probeAnswer is what a Prober said, or that it did not know.
type probeAnswer struct {
	ordinal int
	number  uint32 // of the attempt that had succeeded when the agent was asked
	at      int64
	known   bool
	healthy bool
	reason  cleaned
}

// inspectAnswer is what an Inspector said: how the attempt ended, or, without an outcome, that it is to be called again.
type inspectAnswer struct {
	ordinal int
	task    int
	number  uint32
	outcome *outcome
}

// healthReport is one report of ReportHealth, for an agent whose row the shell has found.
type healthReport struct {
	agent   string
	healthy bool
	at      int64
	reason  cleaned
	message uint64 // of the inbox
	found   bool   // its row was looked for
	ordinal int    // -1: the plan has no such agent
}

// probing is one round of questions to the agents of the observed batch.
type probing struct {
	rounds  int   // finished since the batch was settled
	started int64 // of the round under way, or of the last one
	active  bool
	next    int // ordinal to ask next
	out     int // questions that are not answered yet
}

// orderChunk is how many rows of an order are carried out in one commit.
const orderChunk = 500

// queues say which agents of the current batch come next: repeats of lost attempts, agents that are partly done, due
// retries, agents that were away and are due, and then the pending ones in order. They are rebuilt from the rows, never
// stored.
type queues struct {
	repeats       queue.FIFO     // hold their slot, or need none
	partly        queue.FIFO     // hold their slot
	retries       queue.FIFO     // due, and hold their slot
	back          queue.FIFO     // are due, and need a slot: were away, or their batch was put off
	next          int            // no row of the current batch before this ordinal is pending, but for barred and passed ones
	passed        queue.MinSet   // stand in line or are prechecked, though they are pending
	lanes         lanes          // of those that need a slot
	checks        checks         // those that are prechecked
	blocked       []blockedAgent // agents whose abandoned call has not returned
	inspect       queue.FIFO     // lost attempts to ask the Inspector about
	timers        queue.Timers   // of waiting agents of all batches
	orderRows     []*cachedRow   // rows loaded for an order
	moreOrderRows bool           // there are more rows for it
}

// The kinds of timers.
const (
	timerAttempt = iota // the agent waits for an attempt
	timerHealth         // the agent is unhealthy, and fails if it still is
)

// bar keeps an agent from taking another attempt while an abandoned call for it is still out.
type blockedAgent struct {
	ordinal int
	agent   string
	own     bool   // a call of this plan by this engine is out
	other   bool   // a call of another plan or engine is out
	engine  string // that engine
	pending bool   // it was put back and would be next
}

// checks are the agents of the current batch that are asked whether they may be started, or may be and wait for that. Each
// counts as open; nothing of them is stored before they start.
type checks struct {
	of    map[int]*check // by ordinal
	ready queue.FIFO     // those that have answered
}

type check struct {
	at      int64 // when it was answered; 0: the question is out
	expired bool  // the answer does not count any more
	version cleaned
}

// precheckAnswer is what a Prechecker said: what becomes of the agent, or, without an outcome, that it may be started.
type precheckAnswer struct {
	ordinal int
	at      int64
	version cleaned
	outcome *outcome
}

// reported is an outcome that somebody has reported, for an agent whose row the shell has found.
type reported struct {
	outcome
	message uint64 // of the inbox
	found   bool   // its row was looked for; an ordinal of -1 then says that the plan has no such agent
}

// doubt is a task of a rollback that was in flight in the source when that was frozen.
type unconfirmed struct{ ordinal, task int }
