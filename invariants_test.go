package ota

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// court is a MemStore that judges every commit by what is in it before and after, and by its log record: rows and events,
// nothing else. It also stands in for a store that fails.
type court struct {
	*MemStore
	t     *testing.T
	blind bool                                // for big plans
	down  atomic.Bool                         // every method fails
	ack   atomic.Int64                        // this many acknowledgements of owner's commits get lost
	gate  func(context.Context, Commit) error // asked before a commit
	renew func(ctx context.Context, engine string) error

	mu     sync.Mutex
	reader *storeReader
	plans  map[string]*snapshot
	starts map[string]uint64 // by attempt key: the epoch that committed it last
}

var errDown = errors.New("the store is down")

func newCourt(t *testing.T) *court {
	c := &court{MemStore: NewMemStore(), t: t, reader: newStoreReader(t), plans: map[string]*snapshot{}, starts: map[string]uint64{}}
	t.Cleanup(c.close)
	return c
}

// snapshot is all of a plan.
type snapshot struct {
	status  Status
	row     PlanRow
	batches []BatchRow
	agents  []AgentRow
}

func (c *court) take(id string) *snapshot {
	ctx := context.Background()
	s := &snapshot{}
	var err error
	if s.row, err = c.MemStore.Plan(ctx, id); err != nil {
		c.t.Errorf("court: %v", err)
		return nil
	}
	s.status = c.reader.status(s.row)
	b, _ := c.MemStore.Batches(ctx, id, RowQuery{Limit: 1 << 20})
	a, _ := c.MemStore.Agents(ctx, id, RowQuery{Limit: 1 << 20})
	s.batches, s.agents = b.Items, a.Items
	return s
}

func (c *court) Commit(ctx context.Context, k Commit) (uint64, error) {
	if c.down.Load() {
		return 0, errDown
	}
	if c.gate != nil {
		if err := c.gate(ctx, k); err != nil {
			return 0, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.blind {
		return c.MemStore.Commit(ctx, k)
	}
	was := c.plans[k.Plan]
	if was == nil {
		if was = c.take(k.Plan); was == nil {
			return 0, ErrNotFound
		}
	}
	rev, err := c.MemStore.Commit(ctx, k)
	if err != nil {
		return rev, err
	}
	is := c.take(k.Plan)
	c.plans[k.Plan] = is
	c.judge(k, was, is)
	if k.Owner && c.ack.Load() > 0 && c.ack.Add(-1) >= 0 {
		return 0, errors.New("the acknowledgement got lost")
	}
	return rev, nil
}

func (c *court) judge(k Commit, was, is *snapshot) {
	c.t.Helper()
	wrong := func(format string, args ...any) {
		c.t.Helper()
		c.t.Errorf("court: plan %s, revision %d: "+format, append([]any{k.Plan, is.row.Revision}, args...)...)
	}
	rec, err := c.reader.record(k.Plan, LogRow{Revision: is.row.Revision, Data: k.Log})
	if err != nil || len(rec.Events) == 0 {
		wrong("no events: %v", err)
		return
	}
	if is.row.Revision != was.row.Revision+1 {
		wrong("came after %d", was.row.Revision)
	}
	if st := is.status; rec.Status != st && rec.Status != calledAs[st] || rec.Status != k.Status {
		wrong("is told to be %s, is %s", rec.Status, st)
	}
	c.judgeCounts(is, wrong)
	c.judgeEvents(was, is, rec, wrong)
	c.judgeStarts(was, is, rec, wrong)
	c.judgeEnd(was, is, wrong)
}

// calledAs is what a verb's record calls a status that it cannot be sure of.
var calledAs = map[Status]Status{StatusPaused: StatusPausing, StatusCanceled: StatusCanceling}

type wrongFunc func(format string, args ...any)

// judgeCounts compares every counter with the rows.
func (c *court) judgeCounts(is *snapshot, wrong wrongFunc) {
	type sums struct {
		agents, tasks            Counts
		open, touched, unhealthy int
	}
	per := make([]sums, len(is.batches))
	var all sums
	for i := range is.agents {
		a := &is.agents[i]
		for _, s := range []*sums{&per[a.Batch], &all} {
			*countOf(&s.agents, a.State.Status)++
			for k := range taskCount(&a.State) {
				*countOf(&s.tasks, taskAt(&a.State, k).Status)++
			}
			for f, n := range map[AgentFlags]*int{
				AgentOpen: &s.open, AgentChanged: &s.touched, AgentUnhealthy: &s.unhealthy, AgentAtTarget: &s.agents.AtTarget,
			} {
				if a.State.Flags&f != 0 {
					*n++
				}
			}
		}
	}
	p := &is.row.Progress
	if all.agents != p.Counts || all.tasks != p.Tasks || all.open != p.Open || all.touched != p.Changed {
		wrong("counters %+v, rows %+v", *p, all)
	}
	for i, b := range is.batches {
		s := per[i]
		if s.agents != b.Counts || s.tasks != b.Tasks || s.open != b.Open || s.touched != b.Changed || s.unhealthy != b.Unhealthy {
			wrong("batch counters %+v, rows %+v", b, s)
		}
	}
}

// judgeEvents looks for changes without an event, and for commits without a change.
func (c *court) judgeEvents(was, is *snapshot, rec Record, wrong wrongFunc) {
	named := map[string]bool{}
	batches := map[int]bool{}
	kinds := map[EventKind]bool{}
	for _, e := range rec.Events {
		named[e.Agent] = true
		kinds[e.Kind] = true
		batches[e.Batch] = true
	}
	changed := was.status != is.status || was.row.Epoch != is.row.Epoch || !reflect.DeepEqual(was.row.Control, is.row.Control)
	for i := range is.agents {
		if a, b := &was.agents[i], &is.agents[i]; !reflect.DeepEqual(a.State, b.State) {
			changed = true
			gaveUp := b.State
			gaveUp.Rest = slices.Clone(gaveUp.Rest)
			gaveUp.Flags |= a.State.Flags & AgentOpen // its slot, when an earlier batch is reopened
			if !named[b.Agent.ID] && !(kinds[EventBatchReopened] && reflect.DeepEqual(a.State, gaveUp)) {
				wrong("agent %s changed without an event: %+v to %+v by %v", b.Agent.ID, a.State, b.State, rec.Events)
			}
			if a.State.Status == TaskSucceeded && b.State.Status != TaskSucceeded && b.State.Status != TaskFailed {
				wrong("agent %s succeeded, and is %s now", b.Agent.ID, b.State.Status)
			}
			if a.State.Flags&AgentChanged != 0 && b.State.Flags&AgentChanged == 0 {
				wrong("agent %s is not touched any more", b.Agent.ID)
			}
			if a.State.Flags&AgentReleased != 0 {
				wrong("agent %s changed after it was released: %+v to %+v", b.Agent.ID, a.State, b.State)
			}
			c.judgeTasks(a, b, wrong)
			judgeReleased(is.row.Source != "", b, wrong)
		}
	}
	for i := range is.batches {
		changed = changed || was.batches[i] != is.batches[i]
		if was.batches[i].Status != is.batches[i].Status {
			changed = true
			if !batches[i] {
				wrong("batch %d changed without an event", i)
			}
		}
	}
	a, b := was.row.Progress, is.row.Progress
	a.At, b.At = time.Time{}, time.Time{}
	if !changed && reflect.DeepEqual(a, b) && !kinds[EventLate] && !kinds[EventStatus] {
		wrong("nothing was changed by %v", rec.Events)
	}
}

// judgeTasks checks what must hold of the tasks of an agent whenever it changes: they are done in order, one at a time.
func (c *court) judgeTasks(was, is *AgentRow, wrong wrongFunc) {
	touched := false
	for i := range taskCount(&is.State) {
		before, after := taskAt(&was.State, i), taskAt(&is.State, i)
		touched = touched || after.Changed
		if before.Changed && !after.Changed {
			wrong("task %d of agent %s is not touched any more", i, is.Agent.ID)
		}
		if before.Status == TaskSucceeded && after.Status != TaskSucceeded && after.Why != ReasonUnhealthy {
			wrong("task %d of agent %s succeeded, and is %s now", i, is.Agent.ID, after.Status)
		}
		if i > 0 && (!slices.Contains([]TaskStatus{TaskPending, TaskSkipped, TaskCanceled}, after.Status)) {
			for k := range i {
				if t := taskAt(&is.State, k); t.Status != TaskSucceeded && !(t.Status == TaskSkipped && t.Why == ReasonUnchanged) {
					wrong("task %d of agent %s is %s, while task %d is %s", i, is.Agent.ID, after.Status, k, t.Status)
				}
			}
		}
	}
	if touched != (is.State.Flags&AgentChanged != 0) {
		wrong("agent %s is touched: %t, its tasks say %t", is.Agent.ID, !touched, touched)
	}
}

// judgeReleased checks that exactly those agents are released that their plan has not changed and will never call again.
func judgeReleased(rollback bool, a *AgentRow, wrong wrongFunc) {
	s := &a.State
	skipped := s.Status == TaskSkipped || s.Status == TaskCanceled
	untouched := s.Flags&AgentChanged == 0 && !rollback
	switch released := s.Flags&AgentReleased != 0; {
	case released && (!untouched || !skipped && (s.Status != TaskSucceeded || s.Flags&AgentAtTarget == 0)):
		wrong("agent %s is released: %+v", a.Agent.ID, a.State)
	case !released && skipped && untouched:
		wrong("agent %s is not released: %+v", a.Agent.ID, a.State)
	}
}

// judgeStarts checks what must hold whenever a task becomes running.
func (c *court) judgeStarts(was, is *snapshot, rec Record, wrong wrongFunc) {
	fresh := false
	for _, e := range rec.Events {
		if e.Kind != EventTaskStarted && e.Kind != EventTaskRepeated {
			continue
		}
		if st := is.status; st != StatusRunning || was.row.ControlNumber != is.row.ControlNumber {
			wrong("%s started while the plan is %s", e.Agent, st)
		}
		key := Attempt{Plan: rec.Plan, Agent: e.Agent, Task: e.Task, Number: e.Number}.Key()
		if last, twice := c.starts[key]; twice && last >= is.row.Epoch {
			wrong("attempt %s was started under epoch %d and again under %d", key, last, is.row.Epoch)
		}
		c.starts[key] = is.row.Epoch
		for _, b := range is.batches[:e.Batch] {
			if b.Status != BatchCompleted {
				wrong("%s of batch %d started while batch %d is %s", e.Agent, e.Batch, b.Index, b.Status)
			}
		}
		i := slices.IndexFunc(is.agents, func(a AgentRow) bool { return a.Agent.ID == e.Agent })
		if i < 0 || is.agents[i].State.Status != TaskRunning {
			wrong("%s started, and does not run", e.Agent)
		} else if was.agents[i].State.Flags&AgentOpen == 0 {
			fresh = true
		}
	}
	if open := is.row.Progress.Open; fresh && open > is.row.Control.Policy.Concurrency {
		wrong("%d agents are open, %d may be", open, is.row.Control.Policy.Concurrency)
	}
}

// judgeEnd checks that an end stays.
func (c *court) judgeEnd(was, is *snapshot, wrong wrongFunc) {
	a, b := was.status, is.status
	if !a.Ended() {
		return
	}
	if b != a && !(b == StatusRollingBack && a != StatusRolledBack) {
		wrong("was %s and is %s", a, b)
	}
	if !reflect.DeepEqual(was.agents, is.agents) {
		wrong("was %s, and its agents changed", a)
	}
}

// close replays every log and compares what comes out with the rows.
func (c *court) close() {
	if c.blind {
		return
	}
	page, _ := c.MemStore.Plans(context.Background(), PlanQuery{Limit: 1 << 20})
	for _, row := range page.Items {
		s := c.take(row.ID)
		at := map[string][]TaskStatus{} // by agent
		for _, a := range s.agents {
			at[a.Agent.ID] = make([]TaskStatus, taskCount(&a.State))
		}
		for i, r := range c.records(row.ID) {
			if r.Revision != uint64(i)+1 {
				c.t.Errorf("court: plan %s: record %d has revision %d", row.ID, i+1, r.Revision)
			}
			for _, e := range r.Events {
				if to, ok := eventLeads[e.Kind]; ok {
					at[e.Agent][e.Task] = to
				}
			}
		}
		for _, a := range s.agents {
			for i, want := range at[a.Agent.ID] {
				if is := taskAt(&a.State, i).Status; is != want {
					c.t.Errorf("court: plan %s: task %d of agent %s is %s, its events say %s", row.ID, i, a.Agent.ID, is, want)
				}
			}
			if !fits(a.State.Status, at[a.Agent.ID]) {
				c.t.Errorf("court: plan %s: agent %s is %s, its tasks are %v", row.ID, a.Agent.ID, a.State.Status, at[a.Agent.ID])
			}
		}
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

var eventLeads = map[EventKind]TaskStatus{
	EventTaskStarted: TaskRunning, EventTaskRepeated: TaskRunning, EventTaskSucceeded: TaskSucceeded,
	EventTaskFailed: TaskFailed, EventTaskSkipped: TaskSkipped, EventTaskCanceled: TaskCanceled,
	EventTaskUnknown: TaskUnknown, EventTaskWaiting: TaskWaiting, EventTaskRetried: TaskPending,
}

// records reads a plan's whole log.
func (c *court) records(id string) []Record {
	rows, err := c.MemStore.Log(context.Background(), id, 0, 1<<20)
	if err != nil {
		c.t.Errorf("court: %v", err)
	}
	out := make([]Record, len(rows))
	for i, r := range rows {
		if out[i], err = c.reader.record(id, r); err != nil {
			c.t.Errorf("court: plan %s, record %d: %v", id, i+1, err)
		}
	}
	return out
}

func (c *court) Plan(ctx context.Context, id string) (PlanRow, error) {
	if c.down.Load() {
		return PlanRow{}, errDown
	}
	return c.MemStore.Plan(ctx, id)
}

func (c *court) Plans(ctx context.Context, q PlanQuery) (Page[PlanRow], error) {
	if c.down.Load() {
		return Page[PlanRow]{}, errDown
	}
	return c.MemStore.Plans(ctx, q)
}

func (c *court) Agents(ctx context.Context, id string, q RowQuery) (Page[AgentRow], error) {
	if c.down.Load() {
		return Page[AgentRow]{}, errDown
	}
	return c.MemStore.Agents(ctx, id, q)
}

func (c *court) Renew(ctx context.Context, engine string, ttl time.Duration) error {
	if c.down.Load() {
		return errDown
	}
	if c.renew != nil {
		if err := c.renew(ctx, engine); err != nil {
			return err
		}
	}
	return c.MemStore.Renew(ctx, engine, ttl)
}

// bare hides a store's companions on purpose.
type bare struct{ Store }

func (bare) Unwrap() Store { return nil }
