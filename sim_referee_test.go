package ota

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// referee checks the promises from what is stored: rows, halves and log records. It shares no arithmetic with the core:
// what an agent is, it reads from its tasks; what the counters must be, it counts.
type referee struct {
	w     *world
	plans map[string]*refPlan
	read  map[string][]agentRow // by plan; an agent itself never changes, so it is read once
}

type refPlan struct {
	id        string
	agents    map[string]*refAgent
	batchOf   map[string]int
	pausedBy  bool   // Pause has returned, and nobody has said Resume since
	lastRev   uint64 // of the log
	ended     Status
	known     map[uint64]Breach // every breach that was ever recorded, by its number
	accepted  map[int]int       // failures there were at the last decision, by batch
	starts    []time.Time
	open      map[string]bool      // who held a slot at the last commit
	checks    map[string]time.Time // when an agent last said that it is ready
	halved    int                  // how often Concurrency is halved
	urgent    map[string]bool      // agents that a person has asked for
	loose     bool                 // limits were edited: the bound on failures is not checked
	evidence  map[int]refEvidence  // of the last commit, by batch; -1 is the plan
	failed    map[int]bool         // the rows that counted as failed at the last commit
	before    map[int]refEvidence  // what was accepted of it
	accepting uint64               // number of an Accept that is not carried out; 0: none
	decided   bool                 // somebody has said Resume, Retry or GiveUp
	turns     map[string]bool      // values of a budget with Values that have begun in the batch, and not finished
	turnsIn   string               // that batch, and the budget's label
	healthy   map[string]bool      // agents that are compared with, and have answered so since a breach began to wait for them
	sick      map[string]bool      // likewise
	struck    map[string]bool      // who they were then
	waits     bool                 // a breach waits for them
	breached  map[Reason]bool      // the reasons of all breaches
	began     map[int]time.Time    // when an agent of a batch began last
	left      map[int]bool         // batches that went on without agents
	late      []string             // stragglers at the last commit
}

type refAgent struct{ tasks []refTask }

func (a *refAgent) started() bool {
	return slices.ContainsFunc(a.tasks, func(t refTask) bool { return t.number > 0 })
}

type refTask struct {
	running bool
	done    bool // its last attempt succeeded and nobody put it back
	spared  bool // it was left out of a rollback, since it had changed nothing
	proven  bool // of the last task: a healthy answer was given since its success
	number  int
	epoch   uint64 // of the newest commit of a start
}

func newReferee(w *world) *referee {
	return &referee{w: w, plans: map[string]*refPlan{}, read: map[string][]agentRow{}}
}

func (r *referee) fail(format string, args ...any) {
	panic("referee: " + fmt.Sprintf(format, args...) + "\n" + r.w.Describe())
}

// created makes plans known.
func (r *referee) created(ids ...string) {
	for _, id := range ids {
		if r.plans[id] != nil {
			continue
		}
		p := &refPlan{id: id, urgent: map[string]bool{}, open: map[string]bool{}, checks: map[string]time.Time{}, agents: map[string]*refAgent{}, batchOf: map[string]int{}, lastRev: 1, known: map[uint64]Breach{}, accepted: map[int]int{}, began: map[int]time.Time{}, left: map[int]bool{}, evidence: map[int]refEvidence{}, before: map[int]refEvidence{}, failed: map[int]bool{}}
		for _, row := range r.rows(id) {
			p.agents[row.Agent.ID] = &refAgent{tasks: make([]refTask, row.State.tasks())}
			p.batchOf[row.Agent.ID] = row.Batch
		}
		r.plans[id] = p
		r.rollbackSet(id)
	}
}

// rows are a plan's agents with their present states. They are good until the next commit.
func (r *referee) rows(id string) []agentRow {
	if r.read[id] == nil {
		page, err := r.w.store.rows().Agents(r.w.ctx, id, rowQuery{Limit: 1 << 20})
		r.w.must(err)
		r.read[id] = page.Items
	}
	rows := r.read[id]
	for i, a := range r.w.stored(id).agents {
		rows[i].State = a.State
		rows[i].State.Rest = slices.Clone(a.State.Rest)
	}
	return rows
}

func (r *referee) batches(id string) []batchRow { return r.w.stored(id).batches }

// rollbackSet checks promise 6: a rollback holds every agent that a call may have changed, and nobody whom nothing was started for.
func (r *referee) rollbackSet(id string) {
	row, err := r.w.store.rows().Plan(r.w.ctx, id)
	r.w.must(err)
	if row.Source == "" {
		return
	}
	r.quick(&row)
	src := r.plans[row.Source]
	in := map[string]bool{}
	for _, a := range r.rows(id) {
		r.goesBack(&a)
		last := len(src.agents[a.Agent.ID].tasks)
		for k := range a.State.tasks() {
			name := a.Agent.component(k).Name
			in[a.Agent.ID+name] = true
			i := r.w.taskNamed(a.Agent.ID, name)
			if src.agents[a.Agent.ID].tasks[i].number == 0 {
				r.fail("the rollback holds task %d of %s, which was never started", i, a.Agent.ID)
			}
			if i >= last {
				r.fail("the rollback takes task %d of %s back after task %d", i, a.Agent.ID, last)
			}
			last = i
		}
	}
	for _, a := range r.rows(row.Source) {
		for k := range a.State.tasks() {
			name := a.Agent.component(k).Name
			b := r.w.behaviour(a.Agent.ID, name)
			if sure := b == 6 || b == 7; r.w.effects[a.Agent.ID+name] && !sure && !in[a.Agent.ID+name] && b != 4 {
				r.fail("the rollback forgets task %d of %s, which may have changed it", k, a.Agent.ID)
			}
		}
	}
}

// quick checks that a rollback has one batch and waits for nothing, unless more is inherited.
func (r *referee) quick(row *planRow) {
	source := r.w.row(row.Source)
	ref, p := source.Control.Rollback, &row.Control.Policy
	if ref == nil || ref.ID != row.ID {
		return
	}
	waits := len(p.Windows) > 0 || p.Hold.All || p.Rate.Starts > 0 || p.Halve || p.Reserve || p.MaxConsecutive > 0 ||
		p.BatchTimeout+p.PlanTimeout > 0 || !p.Soak.None() || p.Soak.ToEnd || !row.Spec.Ungated
	switch inherit := ref.Spec.Inherit; {
	case inherit != InheritAll && waits, inherit == InheritLimits && row.Spec.Batches != 1:
		r.fail("rollback plan %s inherits %s, has %d batches, and waits: %+v", row.ID, inherit, row.Spec.Batches, *p)
	case inherit == InheritAll && (row.Spec.Ungated || len(p.Windows) != len(source.Control.Policy.Windows)):
		r.fail("rollback plan %s inherits everything, and has %+v", row.ID, *p)
	}
}

// was is the version that an agent had before the first plan, as far as that could know.
func (r *referee) was(agent, component string) string {
	from, _ := componentVersions(component)
	if r.w.checked && r.w.behave[agent] == 14 && r.w.tasks[agent] <= 1 && from == "1" {
		return simPrevious
	}
	return from
}

// prechecked remembers who may be started.
func (r *referee) prechecked(id, agent string, said Precheck) {
	if said.State == PrecheckReady {
		r.plans[id].checks[agent] = r.w.clock.t
	}
}

// checks checks that an agent first starts only once it is ready, and that was said a minute ago at most; and that whoever was never
// started was not touched.
func (r *referee) checks(p *refPlan, rec *Record, rows []agentRow) {
	for _, e := range rec.Events {
		at, ready := p.checks[e.Agent]
		switch {
		case !r.w.checked || e.Kind != EventTaskStarted || e.Number != 1 || e.Task != 0: // an agent is asked before its first task
		case !ready:
			r.fail("agent %s of %s was started, and never said that it is ready", e.Agent, p.id)
		case rec.At.Sub(at) > time.Minute:
			r.fail("agent %s of %s was started %s after it was asked", e.Agent, p.id, rec.At.Sub(at))
		}
	}
	for i := range rows {
		if a := &rows[i]; a.State.Flags&agentChanged != 0 && !p.agents[a.Agent.ID].started() {
			r.fail("agent %s of %s was never started, and is touched", a.Agent.ID, p.id)
		}
	}
}

// windows checks that everything starts within a window, and its margin before the end.
func (r *referee) windows(p *refPlan, pol Policy, rec *Record) {
	if len(pol.Windows) == 0 {
		return
	}
	w := pol.Windows[0]
	since := (rec.At.Sub(rec.At.Truncate(time.Hour)) - w.Start%time.Hour + time.Hour) % time.Hour
	for _, e := range rec.Events {
		if (e.Kind == EventTaskStarted || e.Kind == EventTaskRepeated) && !p.urgent[e.Agent] && since >= simOpen-w.Margin {
			r.fail("agent %s of %s was started at %s, outside of every window", e.Agent, p.id, rec.At.Format(time.TimeOnly))
		}
	}
}

// halving follows the batches: as many as Concurrency, halved, leaves may take a slot.
// batch is the current one, also for a straggler.
func (r *referee) halving(p *refPlan, policy *Policy, rec *Record, open, batch int) {
	for _, e := range rec.Events {
		pol := staged(policy, e.Batch)
		if e.Kind == EventTaskStarted {
			pol = staged(policy, max(e.Batch, batch))
		}
		switch {
		case !pol.Halve:
		case p.loose && e.Task > 0: // its slot is from before an Edit took one away: the agent was asked then whether it is ready
		case e.Kind == EventTaskStarted && !p.open[e.Agent] && !p.urgent[e.Agent] && open > max(1, pol.Concurrency>>p.halved):
			r.fail("plan %s has %d agents open, concurrency is %d, halved %d times", p.id, open, pol.Concurrency, p.halved)
		case e.Kind != EventBatchCompleted:
		case e.Number == 0:
			p.halved = max(p.halved-1, 0)
		case pol.Concurrency>>p.halved > 1:
			p.halved++
		}
	}
}

// goesBack checks that a rollback takes everything back to where it was.
func (r *referee) goesBack(a *agentRow) {
	for _, t := range a.Agent.Tasks {
		from, to := componentVersions(t.Component.Name)
		if len(a.Agent.Tasks) == 1 {
			from = r.was(a.Agent.ID, t.Component.Name)
		}
		if t.ToVersion != from || t.FromVersion != to {
			r.fail("%s of agent %s goes from %q back to %q, it was at %s", t.Component.Name, a.Agent.ID, t.FromVersion, t.ToVersion, from)
		}
	}
	if was := r.was(a.Agent.ID, ""); len(a.Agent.Tasks) == 0 && a.Agent.Target != was {
		r.fail("agent %s goes back to %q, it was at %s", a.Agent.ID, a.Agent.Target, was)
	}
}

// paused remembers that Pause has returned.
func (r *referee) paused(id string, p Plan) { r.plans[id].pausedBy = true }

// called checks that an attempt is called only once its start is stored, under the epoch it carries.
func (r *referee) called(p *process, id string, j job) {
	for _, row := range r.rows(id) {
		if row.Agent.ID != j.attempt().Agent {
			continue
		}
		t := row.State.task(j.attempt().Task)
		if t.Number < uint32(j.attempt().Number) || t.Number == uint32(j.attempt().Number) && t.Status == TaskPending {
			r.fail("call %s, but its start is not stored: %+v", j.attempt().Key(), *t)
		}
		for i := range j.attempt().Task {
			if done := row.State.task(i); done.Status != TaskSucceeded && done.Why != ReasonUnchanged {
				r.fail("call %s, but task %d is %s", j.attempt().Key(), i, done.Status)
			}
		}
		_, to := componentVersions(j.attempt().Component.Name)
		from := r.was(row.Agent.ID, j.attempt().Component.Name)
		if j.attempt().IsRollback {
			from, to = to, from
		}
		if row.Agent.component(j.attempt().Task) != j.attempt().Component || j.attempt().FromVersion != from || j.attempt().ToVersion != to {
			r.fail("call %s brings %+v from %s to %s", j.attempt().Key(), j.attempt().Component, j.attempt().FromVersion, j.attempt().ToVersion)
		}
	}
	for _, q := range r.w.procs {
		for _, c := range q.calls {
			if c.job.agent == j.agent && (q == p || c.left && c.job.attempt().Key() != j.attempt().Key()) {
				r.fail("call %s while %s is still out, in the same process: %t", j.attempt().Key(), c.job.attempt().Key(), q == p)
			}
		}
	}
}

// committed checks one commit that has landed.
func (r *referee) committed(before *planRow, c *Commit, rev uint64) {
	p := r.plans[c.Plan]
	if p == nil {
		r.created(c.Plan)
		p = r.plans[c.Plan]
	}
	if rev != p.lastRev+1 {
		r.fail("plan %s: revision %d follows %d", c.Plan, rev, p.lastRev)
	}
	p.lastRev = rev
	after := r.w.row(c.Plan)
	rec, err := decodeRecord(c.Plan, LogRow{Revision: rev, Data: c.Log.Data})
	r.w.must(err)
	if len(rec.Events) == 0 {
		r.fail("plan %s: commit %d has no event", c.Plan, rev)
	}
	rows, batches := r.rows(c.Plan), r.batches(c.Plan)
	r.counters(after, rows, batches)
	r.verbs(p, before, after, &rec)
	p.asked(after)
	r.events(p, before, after, &rec, c, batches)
	r.verdicts(p, before, after, rows, batches)
	r.expects(p, before, after, rows, batches, &rec)
	r.closing(p, &rec, batches, rows, after)
	r.stragglers(p, after, &rec, rows, batches)
	r.bounds(p, after, rows, batches, &rec)
	r.rate(p, before.Control.Policy, &rec)
	for _, b := range before.Control.Policy.Budgets {
		r.budget(p, b, before.Source != "", rows, &rec)
	}
	r.turns(p, before, after, rows, &rec)
	r.limits(p, before, after, &rec, batches)
	r.coverage(p, before, after, &rec, batches)
	r.compares(p, before, after, rows, &rec)
	r.checks(p, &rec, rows)
	r.windows(p, before.Control.Policy, &rec)
	r.halving(p, &before.Control.Policy, &rec, after.Progress.Open, after.Progress.Batch)
	r.ends(p, after)
	r.pauseStays(before, after, c)
	r.together(after)
	p.slots(rows)
	p.served(rows)
	p.keepLate(rows)
}

// counters checks promise 3.
func (r *referee) counters(row *planRow, rows []agentRow, batches []batchRow) {
	var all, tasks Counts
	open, touched := 0, 0
	per, perTask := make([]Counts, len(batches)), make([]Counts, len(batches))
	opens := make([]int, len(batches))
	for i := range rows {
		a := &rows[i]
		var is []TaskStatus
		for k := range a.State.tasks() {
			is = append(is, a.State.task(k).Status)
			*tasks.of(is[k])++
			*perTask[a.Batch].of(is[k])++
		}
		if !fits(a.State.Status, is) {
			r.fail("agent %s is %s, its tasks are %v", a.Agent.ID, a.State.Status, is)
		}
		*all.of(a.State.Status)++
		*per[a.Batch].of(a.State.Status)++
		if a.State.Flags&agentAtTarget != 0 {
			all.AtTarget++
			per[a.Batch].AtTarget++
		}
		if a.State.Flags&agentOpen != 0 {
			open++
			opens[a.Batch]++
		}
		if a.State.Flags&agentChanged != 0 {
			touched++
		}
		if a.State.Status == TaskRunning && a.State.Flags&agentOpen == 0 {
			r.fail("agent %s runs without a slot", a.Agent.ID)
		}
		judgeReleased(row.Source != "", a, r.fail)
		r.down(a)
	}
	p := &row.Progress
	if p.Counts != all || p.Tasks != tasks || p.Open != open || p.Changed != touched {
		r.fail("plan %s counts %+v tasks %+v open %d touched %d; its rows are %+v tasks %+v open %d touched %d", row.ID, p.Counts, p.Tasks, p.Open, p.Changed, all, tasks, open, touched)
	}
	for i := range batches {
		if batches[i].Counts != per[i] || batches[i].Tasks != perTask[i] || batches[i].Open != opens[i] {
			r.fail("batch %d of %s counts %+v open %d; its rows are %+v open %d", i, row.ID, batches[i].Counts, batches[i].Open, per[i], opens[i])
		}
	}
}

// verbs follows what people said.
func (r *referee) verbs(p *refPlan, before, after *planRow, rec *Record) {
	for _, e := range rec.Events {
		switch e.Kind {
		case EventResumed:
			p.pausedBy, p.decided = false, true
			for _, b := range r.batches(p.id) {
				p.accepted[b.Index] = b.Counts.Bad()
			}
		case EventEdited:
			p.loose = true
		case EventBatchReopened: // an operator's decision: who waits in a later batch gives its slot back, and may fail beside C others
			for _, a := range r.rows(p.id) {
				if a.Batch > e.Batch && a.State.Status == TaskWaiting && a.State.Flags&agentOpen == 0 {
					p.accepted[a.Batch]++
				}
			}
		}
	}
	for _, b := range before.Progress.Breaches {
		if b.Number <= before.Control.AnsweredBreach {
			continue
		}
		stands := slices.ContainsFunc(after.Progress.Breaches, func(x Breach) bool { return x.Number == b.Number })
		undecided := before.Progress.Undecided != 0 && b.Number >= before.Progress.Undecided
		if !stands && after.Control.AnsweredBreach < b.Number && !(undecided && fromFailures(b.Reason) && after.Progress.Ambient) {
			r.fail("breach %d of %s is gone without an answer", b.Number, p.id)
		}
	}
}

// held reports whether the stored halves forbid any start.
func held(row *planRow) bool {
	c, p := &row.Control, &row.Progress
	for _, b := range p.Breaches {
		if b.Number > c.AnsweredBreach && b.Action != ActionContinue {
			return true
		}
	}
	return c.Paused != nil || c.Cancel != nil || c.Rollback != nil || c.Started == nil || p.End != StatusUnknown
}

// events checks promises 1, 2, 4 and 5 at every start.
func (r *referee) events(p *refPlan, before, after *planRow, rec *Record, c *Commit, batches []batchRow) {
	for _, e := range rec.Events {
		if e.Agent == "" || e.Kind == EventLate {
			continue
		}
		t := &p.agents[e.Agent].tasks[e.Task]
		switch e.Kind {
		case EventTaskStarted, EventTaskRepeated:
			r.order(p, e)
			r.start(p, t, before, after, e, c, batches)
		case EventTaskSucceeded:
			t.running, t.done, t.proven = false, true, false
		case EventTaskFailed, EventTaskSkipped, EventTaskCanceled, EventTaskUnknown, EventTaskWaiting:
			t.running = false
			t.spared = e.Kind == EventTaskSkipped && e.Reason == ReasonUnchanged
			if e.Kind == EventTaskFailed && (e.Reason == ReasonUnhealthy || e.Reason == ReasonSilent) {
				t.done = false
			}
			if t.done {
				r.fail("agent %s of %s had succeeded, and a later outcome made it %s", e.Agent, p.id, e.Kind)
			}
		case EventTaskRetried:
			t.done = false
		}
	}
}

// order checks that a task starts once all before it are done, and while none of its agent runs.
func (r *referee) order(p *refPlan, e Event) {
	for i, t := range p.agents[e.Agent].tasks {
		if i < e.Task && !t.done && !t.spared {
			r.fail("task %d of agent %s was started before task %d was done", e.Task, e.Agent, i)
		}
		if i != e.Task && t.running {
			r.fail("task %d of agent %s was started while task %d runs", e.Task, e.Agent, i)
		}
	}
}

// asked notes who may pass windows, holds and the order: agents of a Now.
func (p *refPlan) asked(after *planRow) {
	for _, o := range after.Control.Orders {
		for _, agent := range o.Agents {
			p.urgent[agent] = p.urgent[agent] || o.Kind == orderNow && o.Number > after.Progress.LastOrder
		}
	}
}

// served ends that once they have ended.
func (p *refPlan) served(rows []agentRow) {
	for i := range rows {
		if rows[i].State.Status.Finished() {
			delete(p.urgent, rows[i].Agent.ID)
		}
	}
}

func (r *referee) start(p *refPlan, a *refTask, before, after *planRow, e Event, c *Commit, batches []batchRow) {
	switch {
	case c.If.Epoch == 0:
		r.fail("a verb started %s", e.Agent)
	case held(before), held(after):
		r.fail("agent %s of %s was started although the plan was held", e.Agent, p.id)
	case p.pausedBy:
		r.fail("agent %s of %s was started after Pause had returned", e.Agent, p.id)
	case a.done:
		r.fail("agent %s of %s had succeeded and was started again", e.Agent, p.id)
	case e.Kind == EventTaskStarted && e.Number != a.number+1:
		r.fail("agent %s: start %d follows start %d", e.Agent, e.Number, a.number)
	case e.Kind == EventTaskRepeated && (e.Number != a.number || after.Epoch <= a.epoch):
		r.fail("agent %s: attempt %d was committed again under epoch %d, after epoch %d", e.Agent, e.Number, after.Epoch, a.epoch)
	case a.running && e.Kind == EventTaskStarted:
		r.fail("agent %s was started twice", e.Agent)
	}
	for i := range e.Batch {
		if b := &batches[i]; b.Status != BatchCompleted && !p.urgent[e.Agent] {
			r.fail("agent %s of batch %d was started while batch %d is %s", e.Agent, e.Batch, i, b.Status)
		}
	}
	if pol := staged(&before.Control.Policy, e.Batch); pol.Hold.All && e.Batch > before.Control.Promoted && e.Batch > 0 && !p.urgent[e.Agent] {
		r.fail("agent %s of batch %d was started, promoted is %d", e.Agent, e.Batch, before.Control.Promoted)
	}
	if before.Source != "" {
		src := r.w.row(before.Source)
		for _, a := range r.rows(before.Source) {
			if a.Agent.ID != e.Agent {
				continue
			}
			if !a.State.touched(r.sourceTask(p.id, e)) {
				r.fail("the rollback changes task %d of %s, which its source never changed", e.Task, e.Agent)
			}
			// one that became unhealthy later worked when the rollback plan was made
			if s := a.State.Status; (s == TaskFailed || s == TaskUnknown) && !turnedUnhealthy(&a.State) && !r.wasBad(p.id, e.Agent) {
				r.fail("agent %s is %s in the source, and its failure counts in the rollback", e.Agent, s)
			}
		}
		if n := src.Progress.Counts; n.Running+n.Waiting > 0 {
			r.fail("the rollback started %s while its source has %d in flight", e.Agent, n.Running+n.Waiting)
		}
	}
	a.running, a.number, a.epoch = true, e.Number, after.Epoch
}

// wasBad reports whether an agent of a rollback did not work before it.
func (r *referee) wasBad(id, agent string) bool {
	return slices.ContainsFunc(r.rows(id), func(a agentRow) bool { return a.Agent.ID == agent && a.State.Flags&agentWasBad != 0 })
}

// sourceTask is which task of the source one of a rollback takes back.
func (r *referee) sourceTask(id string, e Event) int {
	for _, a := range r.rows(id) {
		if a.Agent.ID == e.Agent {
			return r.w.taskNamed(e.Agent, a.Agent.component(e.Task).Name)
		}
	}
	return 0
}

// verdicts checks that a breach struck because more failed than tolerated, and that none is missing.
func (r *referee) verdicts(p *refPlan, before, after *planRow, rows []agentRow, batches []batchRow) {
	for _, b := range after.Progress.Breaches {
		if b.Number <= before.Progress.LastBreach || b.Reason != ReasonThreshold {
			continue
		}
		failed, uncounted, accepted, size := 0, 0, after.Progress.Accepted, len(rows)
		if b.Batch >= 0 {
			accepted, size = batches[b.Batch].Accepted, batches[b.Batch].Size
		}
		for i := range rows {
			if (b.Batch < 0 || rows[i].Batch == b.Batch) && (rows[i].State.Status == TaskFailed || rows[i].State.Status == TaskUnknown) {
				failed++
				if rows[i].State.Flags&agentWasBad != 0 {
					uncounted++
				}
			}
		}
		if accepted < uncounted {
			r.fail("a breach for %d of %d failed, %d of them did not work before, %d are accepted", failed, size, uncounted, accepted)
		}
		pol := staged(&after.Control.Policy, b.Batch)
		if float64(failed-accepted)/float64(size) <= *pol.FailureThreshold {
			r.fail("a breach for %d of %d failed, %d accepted, at a threshold of %g", failed, size, accepted, *pol.FailureThreshold)
		}
		if pol.Scope == ScopeFirst && b.Batch > 0 && !p.loose {
			r.fail("the threshold of the first batch judges batch %d", b.Batch)
		}
		if b.Action == ActionRollback && after.Source != "" {
			r.fail("a rollback wants to be rolled back")
		}
	}
	st := statusOf(&after.Control, &after.Progress)
	if st != StatusRunning || after.Control.Policy.OnBreach == ActionContinue || after.Control.OrderCount > after.Progress.LastOrder {
		return
	}
	if after.Control.Policy.Scope != ScopePlan && after.ProgressNumber > before.ProgressNumber {
		for i := range batches {
			b := &batches[i]
			pol := staged(&after.Control.Policy, i)
			if pol.Scope == ScopeFirst && i > 0 {
				continue
			}
			if float64(b.Counts.Bad()-b.Accepted)/float64(b.Size) > *pol.FailureThreshold && b.Index == after.Progress.Batch {
				r.fail("batch %d of %s goes on with %d of %d failed", i, after.ID, b.Counts.Bad(), b.Size)
			}
		}
	}
}

// closing checks that a batch was observed for as long as asked before it closed, the last one too, and that nobody fails
// for a report from after that.
func (r *referee) closing(p *refPlan, rec *Record, batches []batchRow, rows []agentRow, after *planRow) {
	for _, e := range rec.Events {
		switch {
		case e.Kind == EventBatchCompleted:
			b := &batches[e.Batch]
			if o := staged(&after.Control.Policy, e.Batch).Soak; b.Changed > 0 && b.ClosedAt.Sub(b.FinishedAt) < o.Duration+o.Stable {
				r.fail("batch %d of %s was observed for %s only", e.Batch, after.ID, b.ClosedAt.Sub(b.FinishedAt))
			}
			r.proven(after.ID, e.Batch, rows)
		case e.Kind == EventTaskFailed && (e.Reason == ReasonUnhealthy || e.Reason == ReasonSilent):
			for i := range rows {
				if a := &rows[i]; a.Agent.ID == e.Agent && !after.Control.Policy.Soak.ToEnd && !p.isLate(e.Agent) && a.State.task(e.Task).Ended > watchedUntil(batches, a.Batch) {
					r.fail("agent %s failed for a report from after the next batch had begun", e.Agent)
				}
			}
		}
	}
}

// watchedUntil is when reports about a batch stop to count: when the next batch has begun, or the
// last batch has closed.
func watchedUntil(batches []batchRow, i int) int64 {
	switch b := &batches[i]; {
	case b.Status != BatchCompleted:
	case i+1 == len(batches):
		return b.ClosedAt.UnixNano()
	case batches[i+1].Status != BatchPending:
		return max(b.ClosedAt.UnixNano(), batches[i+1].StartedAt.UnixNano()) // it may have been reopened since
	}
	return math.MaxInt64
}

// proven checks that every agent of a closed batch that succeeded has given a healthy answer since.
func (r *referee) proven(id string, batch int, rows []agentRow) {
	if r.w.every {
		return // nobody can ask
	}
	for i := range rows {
		a := &rows[i]
		if a.Batch != batch || a.State.Status != TaskSucceeded || a.State.Flags&agentChanged == 0 || a.State.Flags&agentReleased != 0 {
			continue
		}
		if t := r.plans[id].agents[a.Agent.ID].tasks; !t[len(t)-1].proven {
			r.fail("batch %d of %s closed, and agent %s has not answered since its success", batch, id, a.Agent.ID)
		}
	}
}

// heard remembers a healthy answer.
func (r *referee) heard(id, agent string, healthy bool) {
	t := r.plans[id].agents[agent].tasks
	t[len(t)-1].proven = healthy || t[len(t)-1].proven
}

// pauseStays checks that only people end a pause.
func (r *referee) pauseStays(before, after *planRow, c *Commit) {
	if c.If.Epoch == 0 {
		return
	}
	was, is := statusOf(&before.Control, &before.Progress), statusOf(&after.Control, &after.Progress)
	if (was == StatusPaused || was == StatusPausing) && is != StatusPaused && is != StatusPausing && is != StatusRollingBack {
		r.fail("plan %s was %s and became %s by itself", after.ID, was, is)
	}
}

// bounds checks how many are open, and how many can fail: promises 1 and 2.
func (r *referee) bounds(p *refPlan, after *planRow, rows []agentRow, batches []batchRow, rec *Record) {
	fresh := slices.ContainsFunc(rec.Events, func(e Event) bool { return e.Kind == EventTaskStarted })
	whole := &after.Control.Policy
	for i := range batches {
		open := 0
		pol := staged(whole, i)
		most, _ := whole.most()
		if !slices.ContainsFunc(rows, func(a agentRow) bool { return p.urgent[a.Agent.ID] }) { // else it may have begun in an earlier batch
			most = pol.Concurrency
		}
		if batches[i].Status == BatchCompleted { // the concurrency of the current batch limits its stragglers
			most, _ = whole.most()
		}
		for k := range rows {
			if a := &rows[k]; a.Batch == i && (a.State.Status == TaskRunning || a.State.Status == TaskWaiting && a.State.Flags&agentOpen != 0) {
				open++
			}
		}
		if fresh && open > most && !p.loose {
			r.fail("batch %d of %s has %d agents open, concurrency is %d", i, p.id, open, most)
		}
		if p.loose || pol.Scope != ScopeBatch || pol.OnBreach == ActionContinue {
			continue
		}
		failed := 0
		for k := range rows {
			if a := &rows[k]; a.Batch == i && (a.State.Status == TaskFailed || a.State.Status == TaskUnknown) && !turnedUnhealthy(&a.State) && a.State.Flags&agentWasBad == 0 {
				failed++
			}
		}
		if most += Tolerated(*pol.FailureThreshold, batches[i].Size) + p.accepted[i]; failed > most {
			r.fail("batch %d of %s has %d failed agents, at most %d may", i, p.id, failed, most)
		}
		if bound := Tolerated(*pol.FailureThreshold, batches[i].Size) + 1; pol.Reserve && p.accepted[i] == 0 && failed > bound && !unhealthyIn(rows, i) {
			r.fail("batch %d of %s has %d failed agents although it reserves; at most %d may", i, p.id, failed, bound)
		}
	}
}

func unhealthyIn(rows []agentRow, batch int) bool {
	return slices.ContainsFunc(rows, func(a agentRow) bool { return a.Batch == batch && turnedUnhealthy(&a.State) })
}

func turnedUnhealthy(a *agentState) bool {
	why := a.task(a.tasks() - 1).Why
	return why == ReasonUnhealthy || why == ReasonSilent
}

// ends checks that an end stays.
func (r *referee) ends(p *refPlan, after *planRow) {
	st := statusOf(&after.Control, &after.Progress)
	switch p.ended {
	case StatusCompleted, StatusCanceled:
		if st != p.ended && st != StatusRollingBack && st != StatusRolledBack {
			r.fail("plan %s was %s and is %s", p.id, p.ended, st)
		}
	case StatusRolledBack:
		if st != StatusRolledBack {
			r.fail("plan %s was rolled back and is %s", p.id, st)
		}
	}
	if st.Ended() {
		p.ended = st
	}
	if after.Status == StatusPaused && after.Progress.Counts.Running > 0 {
		r.fail("plan %s is called paused with %d agents running", p.id, after.Progress.Counts.Running)
	}
	if st.Ended() && after.Progress.Counts.Running > 0 {
		r.fail("plan %s is %s with %d agents running", p.id, st, after.Progress.Counts.Running)
	}
}

// atRest checks that every plan came to an end, or rests with a reason that somebody can do something about.
func (r *referee) atRest() {
	r.pairs()
	for id := range r.plans {
		row, err := r.w.store.rows().Plan(r.w.ctx, id)
		r.w.must(err)
		st := statusOf(&row.Control, &row.Progress)
		if row.Status != st {
			r.fail("plan %s is %s, the store lists it as %s", id, st, row.Status)
		}
		r.quietAtRest(&row)
		x, err := r.w.engine.Explain(r.w.ctx, id)
		r.w.must(err)
		if len(x.Blockers) == 0 {
			r.fail("plan %s is %s at rest, and Explain is empty", id, st)
		}
		switch {
		case st.Ended(), st == StatusPaused, st == StatusPending:
		case st == StatusRunning && r.waitsForPeople(&row, x):
		case st == StatusRollingBack && r.rollbackRests(&row):
		default:
			r.fail("plan %s is %s at rest: %v", id, st, x)
		}
		if p := &row.Progress; p.Open > 0 && st == StatusPaused && p.Counts.Running > 0 {
			r.fail("plan %s is paused with %d in flight", id, p.Counts.Running)
		}
		r.logWhole(id, row.Revision)
	}
}

// rate counts the starts of a plan against its rate: no more than it allows in any of its times, whoever drove it.
func (r *referee) rate(p *refPlan, pol Policy, rec *Record) {
	if pol.Rate.Starts == 0 {
		return
	}
	for _, e := range rec.Events {
		if e.Kind == EventTaskStarted || e.Kind == EventTaskRepeated {
			p.starts = append(p.starts, rec.At)
		}
	}
	for len(p.starts) > 0 && rec.At.Sub(p.starts[0]) > pol.Rate.Per-time.Duration(pol.Rate.interval()) {
		p.starts = p.starts[1:]
	}
	if len(p.starts) > pol.Rate.Starts {
		r.fail("plan %s started %d attempts in %s, its rate is %d", p.id, len(p.starts), pol.Rate.Per, pol.Rate.Starts)
	}
}

// budget counts the agents of each value of a budgeted label that are open, or unavailable: none takes a slot above the limit, and
// none starts above it unless it is down itself.
func (r *referee) budget(p *refPlan, b Budget, repairs bool, rows []agentRow, rec *Record) {
	used := map[string]int{}
	all := b.Of == UnavailableAgents && !repairs
	for i := range rows {
		if rows[i].State.Flags&agentOpen != 0 || all && rows[i].State.Flags&agentDown != 0 {
			used[rows[i].Agent.Labels[b.Label]]++
		}
	}
	for _, e := range rec.Events {
		if e.Kind != EventTaskStarted && e.Kind != EventTaskRepeated || p.open[e.Agent] && !all {
			continue
		}
		a := &rows[slices.IndexFunc(rows, func(a agentRow) bool { return a.Agent.ID == e.Agent })]
		most, value := b.Max, a.Agent.Labels[b.Label]
		if most == 0 {
			most = math.MaxInt
		}
		if n, ok := b.Each[value]; ok {
			most = n
		}
		if used[value] > most && !(all && a.State.Flags&agentDown != 0) {
			r.fail("agent %s of %s was started, with %d %s of %s %q; %d may be", e.Agent, p.id, used[value], b.Of, b.Label, value, most)
		}
	}
}

// turns checks that no more values are in use than Budget.Values when an agent starts that is not down.
func (r *referee) turns(p *refPlan, before, after *planRow, rows []agentRow, rec *Record) {
	i := slices.IndexFunc(before.Control.Policy.Budgets, func(b Budget) bool { return b.Values > 0 })
	if i < 0 || before.Source != "" {
		p.turnsIn = ""
		return
	}
	b := before.Control.Policy.Budgets[i]
	if in := fmt.Sprint(after.Progress.Batch, b.Label); p.turnsIn != in {
		p.turns, p.turnsIn = map[string]bool{}, in
	}
	counts, unfinished := map[string]bool{}, map[string]bool{}
	for i := range rows {
		a := &rows[i]
		value, flags := a.Agent.Labels[b.Label], a.State.Flags
		counts[value] = counts[value] || flags&agentOpen != 0 || flags&agentDown != 0 && b.Of == UnavailableAgents
		unfinished[value] = unfinished[value] || a.Batch == after.Progress.Batch && !a.State.Status.Finished()
	}
	var begins []string
	for _, e := range rec.Events {
		if e.Kind != EventTaskStarted && e.Kind != EventTaskRepeated {
			continue
		}
		a := &rows[slices.IndexFunc(rows, func(a agentRow) bool { return a.Agent.ID == e.Agent })]
		value := a.Agent.Labels[b.Label]
		if a.State.Flags&agentDown == 0 && !(p.open[a.Agent.ID] && b.Of == OpenAgents) {
			begins = append(begins, value)
		}
		p.turns[value] = p.turns[value] || a.Batch == after.Progress.Batch
	}
	inUse := map[string]bool{}
	for value := range counts {
		if p.turns[value] = p.turns[value] && unfinished[value]; p.turns[value] || counts[value] {
			inUse[value] = true
		}
	}
	if len(begins) > 0 && len(inUse) > b.Values && !p.loose {
		r.fail("plan %s starts agents of %v of %s, then %v are in use; %d may be", p.id, begins, b.Label, inUse, b.Values)
	}
}

// down checks that an agent is down exactly as long as it must be: from an outcome that may have changed it, or an unhealthy answer,
// to its success, or a healthy answer.
func (r *referee) down(a *agentRow) {
	is, must := a.State.Flags&agentDown != 0, a.State.Flags&agentUnhealthy != 0
	for k := range a.State.tasks() {
		t := a.State.task(k)
		must = must || t.Status != TaskSucceeded && t.Status != TaskRunning && a.State.touched(k) || t.Status == TaskFailed && (t.Why == ReasonUnhealthy || t.Why == ReasonSilent)
	}
	if must && !is || is && !must && a.State.Status == TaskSucceeded {
		r.fail("agent %s is down: %t; its tasks say %t", a.Agent.ID, is, must)
	}
}

// slots remembers who holds a slot.
func (p *refPlan) slots(rows []agentRow) {
	for i := range rows {
		p.open[rows[i].Agent.ID] = rows[i].State.Flags&agentOpen != 0
	}
}

// limits checks that nothing starts once a limit of time has passed, nor after more failures in a row than tolerated, and
// nothing after a gate that has not passed or a canary that proves nothing.
func (r *referee) limits(p *refPlan, before, after *planRow, rec *Record, batches []batchRow) {
	fresh := slices.ContainsFunc(rec.Events, func(e Event) bool { return e.Kind == EventTaskStarted })
	pol := &after.Control.Policy
	if !fresh || pol.OnBreach == ActionContinue {
		return
	}
	if pol.PlanTimeout > 0 && !after.Control.PlanTimeoutAccepted && rec.At.Sub(after.Control.Started.At)-after.Control.PausedFor >= pol.PlanTimeout {
		r.fail("plan %s starts agents after its limit", p.id)
	}
	if n := after.Progress.Batch; n > 0 && n < len(batches) {
		if b := &batches[n-1]; b.Canary && b.Changed == 0 && after.Control.Promoted < n {
			r.fail("plan %s goes on after a canary that proved nothing", p.id)
		}
		if b := &batches[n-1]; r.w.gated && before.Source == "" && b.Changed > 0 && b.Gate != GatePass && after.Control.GateAccepted < n {
			r.fail("plan %s goes on although the gate of batch %d has not passed", p.id, n-1)
		}
	}
}

// coverage checks that a plan is completed only with enough agents at the target, by a person, or when
// it has waited long enough.
func (r *referee) coverage(p *refPlan, before, after *planRow, rec *Record, batches []batchRow) {
	rule := after.Control.Policy.Complete
	if rec.Status != StatusCompleted || before.Progress.Reached+1 < len(batches) || after.Control.Promoted >= len(batches) {
		return
	}
	waited := rec.At.Sub(batches[len(batches)-1].FinishedAt)
	if have := float64(after.Progress.Counts.Succeeded) / float64(after.Spec.Agents); have < rule.Min && (rule.Within == 0 || waited < rule.Within) {
		r.fail("plan %s is completed with a coverage of %v, %v after its last agent: %+v", p.id, have, waited, rule)
	}
}

func (r *referee) waitsForPeople(row *planRow, x Explanation) bool {
	return slices.ContainsFunc(x.Blockers, func(b Blocker) bool { return b.Verb == VerbPromote })
}

func (r *referee) rollbackRests(row *planRow) bool {
	if row.Control.Rollback == nil {
		return false
	}
	other, err := r.w.store.rows().Plan(r.w.ctx, row.Control.Rollback.ID)
	r.w.must(err)
	st := statusOf(&other.Control, &other.Progress)
	return st == StatusPaused || st == StatusRunning && other.Control.Policy.Hold.All
}

// logWhole checks promise 8.
func (r *referee) logWhole(id string, revision uint64) {
	rows, err := r.w.store.rows().Log(r.w.ctx, id, 0, 1<<20)
	r.w.must(err)
	if uint64(len(rows)) != revision {
		r.fail("plan %s is at revision %d, its log has %d records", id, revision, len(rows))
	}
	last := time.Time{}
	for i, row := range rows {
		rec, err := decodeRecord(id, row)
		r.w.must(err)
		if row.Revision != uint64(i)+1 || rec.At.Before(last) {
			r.fail("plan %s: record %d follows %d", id, row.Revision, i)
		}
		last = rec.At
	}
}

// judgeReleased checks that exactly those agents are released that their plan has not changed and will never call again.
func judgeReleased(rollback bool, a *agentRow, wrong func(format string, args ...any)) {
	s := &a.State
	skipped := s.Status == TaskSkipped || s.Status == TaskCanceled
	untouched := s.Flags&agentChanged == 0 && !rollback
	switch released := s.Flags&agentReleased != 0; {
	case released && (!untouched || !skipped && (s.Status != TaskSucceeded || s.Flags&agentAtTarget == 0)):
		wrong("agent %s is released: %+v", a.Agent.ID, a.State)
	case !released && skipped && untouched:
		wrong("agent %s is not released: %+v", a.Agent.ID, a.State)
	}
}

// fits reports whether an agent with these tasks may have this status.
func fits(is TaskStatus, tasks []TaskStatus) bool {
	for _, s := range []TaskStatus{TaskRunning, TaskWaiting, TaskFailed, TaskUnknown} { // one of them is enough
		if slices.Contains(tasks, s) {
			return is == s
		}
	}
	if !slices.Contains(tasks, TaskPending) {
		return is == tasks[len(tasks)-1]
	}
	started := slices.ContainsFunc(tasks, func(s TaskStatus) bool { return s != TaskPending })
	return is == TaskPending || started && is == TaskWaiting // put back, or between two tasks
}
