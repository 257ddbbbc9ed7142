// Package harness has what tests of the engine share that are not in package ota.
package harness

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
)

// CheckedStore is a Store that checks every commit by what is stored before and after it, and by
// its log record. It looks at rows and events only. It also stands in for a Store that fails.
type CheckedStore struct {
	*memstore.Store
	t            *testing.T
	Blind        bool             // for big plans
	Down         atomic.Bool      // every method fails
	LostAcks     atomic.Int64     // this many acknowledgements of owner's commits get lost
	BeforeCommit Hook[ota.Commit] // may refuse a commit
	BeforeRenew  Hook[string]     // may refuse to renew the lease of an engine

	mu     sync.Mutex
	Reader *storeReader
	plans  map[string]*Snapshot
	starts map[string]uint64 // by attempt key: the epoch that committed it last
}

// NewCheckedStore returns an empty store. At the end of the test it compares every log with the
// rows.
func NewCheckedStore(t *testing.T) *CheckedStore {
	c := &CheckedStore{Store: memstore.New(), t: t, Reader: newStoreReader(t), plans: map[string]*Snapshot{}, starts: map[string]uint64{}}
	t.Cleanup(c.close)
	return c
}

// Snapshot is all of a plan.
type Snapshot struct {
	status  ota.Status
	row     planView
	batches []batchView
	Agents  []AgentView
}

// Take reads all of a plan.
func (c *CheckedStore) Take(id string) *Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.take(id)
}

func (c *CheckedStore) take(id string) *Snapshot {
	ctx := context.Background()
	s := &Snapshot{}
	var err error
	if s.row.PlanRow, err = c.Store.Plan(ctx, id); err != nil {
		c.t.Errorf("checked store: %v", err)
		return nil
	}
	s.status = c.Reader.status(s.row.PlanRow)
	b, _ := c.Store.Rows(ctx, id, ota.RowQuery{Kind: ota.KindBatch, Limit: 1 << 20})
	a, _ := c.Store.Rows(ctx, id, ota.RowQuery{Kind: ota.KindAgent, Limit: 1 << 20})
	if err := s.decode(c.plans[id], b.Items, a.Items); err != nil {
		c.t.Errorf("checked store: %v", err)
	}
	return s
}

// Commit implements ota.Store.
func (c *CheckedStore) Commit(ctx context.Context, k ota.Commit) (uint64, error) {
	if c.Down.Load() {
		return 0, ErrDown
	}
	if err := c.BeforeCommit.ask(ctx, k); err != nil {
		return 0, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Blind {
		return c.Store.Commit(ctx, k)
	}
	was := c.plans[k.Plan]
	if was == nil {
		if was = c.take(k.Plan); was == nil {
			return 0, ota.ErrNotFound
		}
	}
	rev, err := c.Store.Commit(ctx, k)
	if err != nil {
		return rev, err
	}
	is := c.take(k.Plan)
	c.plans[k.Plan] = is
	c.judge(k, was, is)
	if k.If.Epoch != 0 && c.LostAcks.Load() > 0 && c.LostAcks.Add(-1) >= 0 {
		return 0, errors.New("the acknowledgement got lost")
	}
	return rev, nil
}

func (c *CheckedStore) judge(k ota.Commit, was, is *Snapshot) {
	c.t.Helper()
	wrong := func(format string, args ...any) {
		c.t.Helper()
		c.t.Errorf("checked store: plan %s, revision %d: "+format, append([]any{k.Plan, is.row.Revision}, args...)...)
	}
	rec, err := c.Reader.Record(k.Plan, ota.LogRow{Revision: is.row.Revision, Data: k.Log.Data})
	if err != nil || len(rec.Events) == 0 {
		wrong("no events: %v", err)
		return
	}
	if is.row.Revision != was.row.Revision+1 {
		wrong("came after %d", was.row.Revision)
	}
	if st := is.status; rec.Status != st && rec.Status != calledAs[st] || rec.Status != k.Head.Status {
		wrong("is told to be %s, is %s", rec.Status, st)
	}
	judgeHead(k, is, wrong)
	c.judgeCounts(is, wrong)
	c.judgeEvents(was, is, rec, wrong)
	c.judgeStarts(was, is, rec, wrong)
	c.judgeBudgets(was, is, rec, wrong)
	c.judgeEnd(was, is, wrong)
}

// calledAs is what a verb's record calls a status that it cannot be sure of.
var calledAs = map[ota.Status]ota.Status{ota.StatusPaused: ota.StatusPausing, ota.StatusCanceled: ota.StatusCanceling}

type wrongFunc func(format string, args ...any)

// judgeCounts compares every counter with the rows.
func (c *CheckedStore) judgeCounts(is *Snapshot, wrong wrongFunc) {
	type sums struct {
		agents, tasks            ota.Counts
		open, touched, unhealthy int
	}
	per := make([]sums, len(is.batches))
	var all sums
	for i := range is.Agents {
		a := &is.Agents[i]
		for _, s := range []*sums{&per[a.Batch], &all} {
			*countOf(&s.agents, a.State.Status)++
			for k := range a.State.Tasks {
				*countOf(&s.tasks, a.State.Tasks[k].Status)++
			}
			for n, is := range map[*int]bool{
				&s.open: a.State.Open, &s.touched: a.State.Changed, &s.unhealthy: a.State.Unhealthy, &s.agents.AtTarget: a.State.AtTarget,
			} {
				if is {
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
func (c *CheckedStore) judgeEvents(was, is *Snapshot, rec ota.Record, wrong wrongFunc) {
	named := map[string]bool{}
	batches := map[int]bool{}
	kinds := map[ota.EventKind]bool{}
	for _, e := range rec.Events {
		named[e.Agent] = true
		kinds[e.Kind] = true
		batches[e.Batch] = true
	}
	changed := was.status != is.status || was.row.Numbers.Epoch != is.row.Numbers.Epoch || !bytes.Equal(was.row.Parts.Control, is.row.Parts.Control)
	for i := range is.Agents {
		if a, b := &was.Agents[i], &is.Agents[i]; !reflect.DeepEqual(a.State, b.State) {
			changed = true
			gaveUp := b.State
			gaveUp.Open = gaveUp.Open || a.State.Open // its slot, when an earlier batch is reopened
			straggles := a.State
			straggles.Straggler = true // its batch closes without it
			named := named[b.ID] || kinds[ota.EventBatchCompleted] && reflect.DeepEqual(b.State, straggles)
			if !named && !(kinds[ota.EventBatchReopened] && reflect.DeepEqual(a.State, gaveUp)) {
				wrong("agent %s changed without an event: %+v to %+v by %v", b.ID, a.State, b.State, rec.Events)
			}
			if a.State.Status == ota.TaskSucceeded && b.State.Status != ota.TaskSucceeded && b.State.Status != ota.TaskFailed {
				wrong("agent %s succeeded, and is %s now", b.ID, b.State.Status)
			}
			if a.State.Changed && !b.State.Changed {
				wrong("agent %s is not touched any more", b.ID)
			}
			if a.State.Released {
				wrong("agent %s changed after it was released: %+v to %+v", b.ID, a.State, b.State)
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
	if !changed && reflect.DeepEqual(was.row.Progress.Rest, is.row.Progress.Rest) && !kinds[ota.EventLate] && !kinds[ota.EventStatus] && !kinds[ota.EventWaiting] {
		wrong("nothing was changed by %v", rec.Events)
	}
}

// judgeTasks compares an agent before and after a commit. It calls wrong if a task lost its mark of
// a change or its success, or began before all earlier tasks had succeeded.
func (c *CheckedStore) judgeTasks(was, is *AgentView, wrong wrongFunc) {
	touched := false
	for i := range len(is.State.Tasks) {
		before, after := was.State.Tasks[i], is.State.Tasks[i]
		touched = touched || after.Changed
		if before.Changed && !after.Changed {
			wrong("task %d of agent %s is not touched any more", i, is.ID)
		}
		if before.Status == ota.TaskSucceeded && after.Status != ota.TaskSucceeded && after.Why != ota.ReasonUnhealthy && after.Why != ota.ReasonSilent {
			wrong("task %d of agent %s succeeded, and is %s now", i, is.ID, after.Status)
		}
		if i > 0 && (!slices.Contains([]ota.TaskStatus{ota.TaskPending, ota.TaskSkipped, ota.TaskCanceled}, after.Status)) {
			for k := range i {
				if t := is.State.Tasks[k]; t.Status != ota.TaskSucceeded && !(t.Status == ota.TaskSkipped && t.Why == ota.ReasonUnchanged) {
					wrong("task %d of agent %s is %s, while task %d is %s", i, is.ID, after.Status, k, t.Status)
				}
			}
		}
	}
	if touched != is.State.Changed {
		wrong("agent %s is touched: %t, its tasks say %t", is.ID, !touched, touched)
	}
}

// judgeReleased checks that exactly those agents are released that their plan has not changed and
// will never call again.
func judgeReleased(rollback bool, a *AgentView, wrong wrongFunc) {
	s := &a.State
	skipped := s.Status == ota.TaskSkipped || s.Status == ota.TaskCanceled
	untouched := !s.Changed && !rollback
	switch released := s.Released; {
	case released && (!untouched || !skipped && (s.Status != ota.TaskSucceeded || !s.AtTarget)):
		wrong("agent %s is released: %+v", a.ID, a.State)
	case !released && skipped && untouched:
		wrong("agent %s is not released: %+v", a.ID, a.State)
	}
}

// judgeStarts checks what must hold whenever a task becomes running.
func (c *CheckedStore) judgeStarts(was, is *Snapshot, rec ota.Record, wrong wrongFunc) {
	fresh := false
	for _, e := range rec.Events {
		if e.Kind != ota.EventTaskStarted && e.Kind != ota.EventTaskRepeated {
			continue
		}
		if st := is.status; st != ota.StatusRunning || was.row.Numbers.Control != is.row.Numbers.Control {
			wrong("%s started while the plan is %s", e.Agent, st)
		}
		key := ota.Attempt{Plan: rec.Plan, Agent: e.Agent, Task: e.Task, Number: e.Number}.Key()
		if last, twice := c.starts[key]; twice && last >= is.row.Numbers.Epoch {
			wrong("attempt %s was started under epoch %d and again under %d", key, last, is.row.Numbers.Epoch)
		}
		c.starts[key] = is.row.Numbers.Epoch
		i := slices.IndexFunc(is.Agents, func(a AgentView) bool { return a.ID == e.Agent })
		for _, b := range is.batches[:e.Batch] {
			urgent := i >= 0 && is.Agents[i].State.Urgent
			if b.Status != ota.BatchCompleted && !urgent {
				wrong("%s of batch %d started while batch %d is %s", e.Agent, e.Batch, b.Index, b.Status)
			}
		}
		if i < 0 || is.Agents[i].State.Status != ota.TaskRunning {
			wrong("%s started, and does not run", e.Agent)
		} else if !was.Agents[i].State.Open {
			fresh = true
		}
	}
	most := is.row.Control.Policy.Concurrency
	for _, stage := range is.row.Control.Policy.Stages {
		if stage.Concurrency > 0 && stage.Batch == firstOpen(is.batches) {
			most = stage.Concurrency
		}
	}
	if open := is.row.Progress.Open; fresh && open > most {
		wrong("%d agents are open, %d may be", open, most)
	}
}

// firstOpen is the index of the current batch.
func firstOpen(batches []batchView) int {
	return slices.IndexFunc(batches, func(b batchView) bool { return b.Status != ota.BatchCompleted })
}

// judgeEnd checks that an end stays.
func (c *CheckedStore) judgeEnd(was, is *Snapshot, wrong wrongFunc) {
	a, b := was.status, is.status
	if !a.Ended() {
		return
	}
	if b != a && !(b == ota.StatusRollingBack && a != ota.StatusRolledBack) {
		wrong("was %s and is %s", a, b)
	}
	if !reflect.DeepEqual(was.Agents, is.Agents) {
		wrong("was %s, and its agents changed", a)
	}
}

// close replays every log and compares what comes out with the rows.
func (c *CheckedStore) close() {
	if c.Blind {
		return
	}
	page, _ := c.Store.Plans(context.Background(), ota.PlanQuery{Limit: 1 << 20})
	for _, row := range page.Items {
		s := c.Take(row.ID)
		at := map[string][]ota.TaskStatus{} // by agent
		for _, a := range s.Agents {
			at[a.ID] = make([]ota.TaskStatus, len(a.State.Tasks))
		}
		for i, r := range c.Records(row.ID) {
			if r.Revision != uint64(i)+1 {
				c.t.Errorf("checked store: plan %s: record %d has revision %d", row.ID, i+1, r.Revision)
			}
			for _, e := range r.Events {
				if to, ok := eventLeads[e.Kind]; ok {
					at[e.Agent][e.Task] = to
				}
			}
		}
		for _, a := range s.Agents {
			for i, want := range at[a.ID] {
				if is := a.State.Tasks[i].Status; is != want {
					c.t.Errorf("checked store: plan %s: task %d of agent %s is %s, its events say %s", row.ID, i, a.ID, is, want)
				}
			}
			if !fits(a.State.Status, at[a.ID]) {
				c.t.Errorf("checked store: plan %s: agent %s is %s, its tasks are %v", row.ID, a.ID, a.State.Status, at[a.ID])
			}
		}
	}
}

// fits reports whether an agent with these tasks may have this status.
func fits(is ota.TaskStatus, tasks []ota.TaskStatus) bool {
	for _, s := range []ota.TaskStatus{ota.TaskRunning, ota.TaskWaiting, ota.TaskFailed, ota.TaskUnknown} { // one of them is enough
		if slices.Contains(tasks, s) {
			return is == s
		}
	}
	if !slices.Contains(tasks, ota.TaskPending) {
		return is == tasks[len(tasks)-1]
	}
	started := slices.ContainsFunc(tasks, func(s ota.TaskStatus) bool { return s != ota.TaskPending })
	return is == ota.TaskPending || started && is == ota.TaskWaiting // put back, or between two tasks
}

var eventLeads = map[ota.EventKind]ota.TaskStatus{
	ota.EventTaskStarted: ota.TaskRunning, ota.EventTaskRepeated: ota.TaskRunning, ota.EventTaskSucceeded: ota.TaskSucceeded,
	ota.EventTaskFailed: ota.TaskFailed, ota.EventTaskSkipped: ota.TaskSkipped, ota.EventTaskCanceled: ota.TaskCanceled,
	ota.EventTaskUnknown: ota.TaskUnknown, ota.EventTaskWaiting: ota.TaskWaiting, ota.EventTaskRetried: ota.TaskPending,
}

// Records reads a plan's whole log.
func (c *CheckedStore) Records(id string) []ota.Record {
	page, err := c.Store.Log(context.Background(), id, ota.LogQuery{Limit: 1 << 20})
	if err != nil {
		c.t.Errorf("checked store: %v", err)
	}
	out := make([]ota.Record, len(page.Items))
	for i, r := range page.Items {
		if out[i], err = c.Reader.Record(id, r); err != nil {
			c.t.Errorf("checked store: plan %s, record %d: %v", id, i+1, err)
		}
	}
	return out
}
