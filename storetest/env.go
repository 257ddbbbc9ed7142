package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/kit"
)

// env is what a case works with: an empty store, and helpers that stop the case at the first broken
// rule.
type env struct {
	ctx    context.Context
	store  ota.Store
	bare   ota.Store // store without Options.Wrap
	step   time.Duration
	reopen func() // nil: it cannot be opened again
	// patience is how long something may take that should not have to wait at all.
	patience time.Duration
}

func (e *env) skip(reason string) { kit.Skip(reason) }

// that stops the case unless held. The failure text is the rule, then what was seen.
func (e *env) that(rule string, held bool, format string, args ...any) {
	kit.That(rule, held, format, args...)
}

func (e *env) ok(rule string, err error) {
	e.that(rule, err == nil, "got error %v", err)
}

func (e *env) is(rule string, err, want error) {
	e.that(rule, errors.Is(err, want), "got error %v, want %v", err, want)
}

// same compares two values by what they hold: their JSON, so that nil and empty, or two forms of
// one time, are equal.
func (e *env) same(rule string, got, want any) {
	if reflect.DeepEqual(got, want) { // the rule, and much faster than the exceptions
		return
	}
	g, w := e.text(got), e.text(want)
	if g == w {
		return
	}
	at := 0
	for at < len(g) && at < len(w) && g[at] == w[at] {
		at++
	}
	cut := func(s string) string {
		from, to := max(at-80, 0), min(at+160, len(s))
		return s[min(from, len(s)):to]
	}
	e.that(rule, false, "from byte %d on\n\tgot  …%s…\n\twant …%s…", at, cut(g), cut(w))
}

func (e *env) text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("storetest: %v", err))
	}
	return string(b)
}

// now returns a time that the store can keep exactly, n seconds after a fixed one.
func (e *env) now(n int) time.Time {
	return time.Date(2026, 3, 29, 1, 30, n, 123456789, time.UTC).Truncate(e.step)
}

// sample is a plan to be created.
type sample struct {
	plan    ota.NewPlan
	created ota.Created
	agents  []ota.AgentRow
}

// sample returns a plan of that many agents in batches of size, with every kind of field in use.
func (e *env) sample(id string, agents, size int) *sample {
	threshold := 0.25
	p := &sample{
		plan: ota.NewPlan{
			ID: id, Fingerprint: "print-" + id, Labels: map[string]string{"app": id, "ring": "1"}, CreatedAt: e.now(0),
		},
		created: ota.Created{
			Spec: ota.PlanSpec{
				Schema: ota.Schema, Name: "plan " + id, FromVersion: "1.0", ToVersion: "2.0", CreatedBy: "ann",
				CreatedAt: e.now(0), Labels: map[string]string{"app": id, "ring": "1"}, Agents: agents,
				Batches: (agents + size - 1) / size, Warnings: []string{"tolerates none"}, Components: []string{"cache", "proxy"},
			},
			Control: ota.Control{
				Schema: ota.Schema, Annotations: map[string]string{"note": "as made"},
				Policy: ota.Policy{
					Concurrency: 7, FailureThreshold: &threshold, Hold: ota.Hold{Batches: []int{1, 2}},
					Soak: ota.Soak{Duration: time.Minute}, AttemptTimeout: time.Hour, UnreachableTimeout: ota.NoTimeout,
				},
			},
			Progress: ota.Progress{Schema: ota.Schema, Counts: ota.Counts{Pending: agents}, Reached: 1},
			Status:   ota.StatusPending,
			Head: ota.Head{
				Status: ota.StatusPending, Hold: ota.ReasonPending, Since: e.now(0), Person: true, Show: []byte(`{"batch":0, "agents":{}}`),
			},
			Log: []byte("record 1 of " + id),
		},
	}
	for i := range agents {
		row := ota.AgentRow{Ordinal: i, Batch: i / size, Agent: ota.AgentSpec{ID: fmt.Sprintf("%s-%05d", id, i)}}
		if i%3 == 1 {
			row.Agent.Version = fmt.Sprintf("1.%d", i)
			row.Agent.Target = fmt.Sprintf("0.%d", i)
			row.Agent.Labels = map[string]string{"zone": fmt.Sprint("z", i%2)}
			row.Agent.Tasks = tasksOf(i)
			row.State.Rest = make([]ota.TaskState, len(row.Agent.Tasks)-1)
		}
		p.agents = append(p.agents, row)
	}
	for first := 0; first < agents; first += size {
		n := min(size, agents-first)
		p.created.Batches = append(p.created.Batches, ota.BatchRow{
			Index: len(p.created.Batches), Name: fmt.Sprint("batch ", first), First: first, Size: n, Cursor: first,
			Counts: ota.Counts{Pending: n},
		})
	}
	p.plan.Finish = func() (ota.Created, error) { return p.created, nil }
	return p
}

// tasksOf is three tasks, one of which says nothing.
func tasksOf(n int) []ota.TaskSpec {
	return []ota.TaskSpec{
		{
			Component: ota.Component{
				Name: "proxy", ID: "c-1", Instance: fmt.Sprint("i-", n), Node: fmt.Sprint("n-", n), Owner: fmt.Sprint("o-", n),
			},
			FromVersion: "1.1", FromRelease: "a", ToVersion: "2.1", ToRelease: "b",
		},
		{Component: ota.Component{Name: "cache"}},
		{},
	}
}

// rows yields the agents, as a Create reads them.
func (p *sample) rows() iter.Seq2[ota.AgentRow, error] {
	return p.rowsThen(len(p.agents), nil)
}

// rowsThen yields the first n agents, then calls then, if any, and goes on.
func (p *sample) rowsThen(n int, then func() error) iter.Seq2[ota.AgentRow, error] {
	return func(yield func(ota.AgentRow, error) bool) {
		for i, row := range p.agents {
			if i == n && then != nil {
				if err := then(); err != nil {
					yield(ota.AgentRow{}, err)
					return
				}
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// row is the plan as it is right after Create.
func (p *sample) row() ota.PlanRow {
	return ota.PlanRow{
		ID: p.plan.ID, Source: p.plan.Source, RequestKey: p.plan.RequestKey, Fingerprint: p.plan.Fingerprint,
		Spec: p.created.Spec, Control: p.created.Control, Progress: p.created.Progress, Status: p.created.Status,
		Head: p.created.Head, ControlNumber: 1, ProgressNumber: 1, Revision: 1,
	}
}

const ruleCreate = "Create makes a plan that is not there yet"

// create creates a sample, or stops the case.
func (e *env) create(p *sample) {
	e.ok(ruleCreate, e.store.Create(e.ctx, p.plan, p.rows()))
}

// made creates a plan of 6 agents in batches of 2.
func (e *env) made(id string) *sample {
	p := e.sample(id, 6, 2)
	e.create(p)
	return p
}

func (e *env) plan(id string) ota.PlanRow {
	row, err := e.store.Plan(e.ctx, id)
	e.ok("Plan returns a plan that was created", err)
	return row
}

// owner returns an owner's commit on the plan as it is now, which changes nothing but the log.
func (e *env) owner(id string) ota.Commit {
	p := e.plan(id)
	return ota.Commit{
		Plan: id, Owner: true, Epoch: p.Epoch, Control: p.ControlNumber, Progress: p.ProgressNumber,
		Log: []byte("an owner's record"),
	}
}

// verb returns a verb's commit on the plan as it is now, which changes nothing but the log.
func (e *env) verb(id string) ota.Commit {
	return ota.Commit{Plan: id, Control: e.plan(id).ControlNumber, Log: []byte("a verb's record")}
}

func (e *env) commit(c ota.Commit) uint64 {
	revision, err := e.store.Commit(e.ctx, c)
	e.ok("Commit applies a commit whose numbers are the stored ones", err)
	return revision
}

// refused expects that the store refuses c with the error want, and keeps its plan as it is.
func (e *env) refused(rule string, c ota.Commit, want error) {
	before := e.everything(c.Plan)
	_, err := e.store.Commit(e.ctx, c)
	if want == nil {
		e.that(rule, err != nil, "got no error")
	} else {
		e.is(rule, err, want)
	}
	e.same("a refused commit changes nothing", e.everything(c.Plan), before)
}

// busy is a state that every field has a part in.
func (e *env) busy(n int) ota.AgentState {
	at := e.now(n).UnixNano()
	return ota.AgentState{
		Status: ota.TaskWaiting, Flags: ota.AgentChanged | ota.AgentOpen,
		Task: ota.TaskState{
			Status: ota.TaskSucceeded, Why: ota.ReasonSucceeded, Tries: 2, Number: uint32(n), Started: at, Ended: at + 1,
		},
		Rest: []ota.TaskState{
			{Status: ota.TaskWaiting, Why: ota.ReasonBackoff, Started: at, Ended: at + 2, More: &ota.TaskMore{
				Version: "1.9", Error: "no route to host", UnreachableSince: at,
			}},
			{Status: ota.TaskPending},
		},
		More: &ota.AgentMore{Previous: "1.0", Unhealthy: at},
	}
}
