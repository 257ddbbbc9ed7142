package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strconv"
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
	plan   ota.PlanRow
	agents []ota.Row
	first  ota.Commit // its rows are the batches
	finish func() (ota.Commit, error)
}

// sample returns a plan of that many agents in batches of size, with every kind of field in use.
func (e *env) sample(id string, agents, size int) *sample {
	names := ota.Names{Name: "plan " + id, Labels: map[string]string{"app": id, "ring": "1"}}
	p := &sample{
		plan: ota.PlanRow{ID: id, Created: e.now(0), Index: []string{"zone", "rack"}, Names: names},
		first: ota.Commit{
			Head: &ota.Head{
				Status: ota.StatusPending, Hold: ota.ReasonPending, Since: e.now(0), Person: true, Show: []byte(`{"batch":0, "agents":{}}`),
			},
			Parts: ota.Parts{Spec: some(40, 1), Control: some(80, 2), Progress: some(120, 3)},
			Log:   ota.LogRow{At: e.now(0), Notable: true, Data: []byte("record 1 of " + id)},
		},
	}
	for i := range agents {
		row := ota.Row{Kind: ota.KindAgent, Number: i, Batch: i / size, ID: fmt.Sprintf("%s-%05d", id, i)}
		if i%3 == 1 {
			row.Fixed = some(30, byte(i))
			row.Labels = map[string]string{"zone": fmt.Sprint("z", i%2)}
		}
		p.agents = append(p.agents, row)
	}
	for first := 0; first < agents; first += size {
		p.first.Rows = append(p.first.Rows, ota.Row{
			Kind: ota.KindBatch, Number: len(p.first.Rows), State: some(70, byte(first)), Show: []byte(`{"name":"batch"}`),
		})
	}
	p.finish = func() (ota.Commit, error) { return p.first, nil }
	return p
}

// some returns n bytes of every value, which are no text.
func some(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed ^ byte(i*37)
	}
	return b
}

// rows yields the agents, as a Create reads them.
func (p *sample) rows() iter.Seq2[ota.Row, error] {
	return p.rowsThen(len(p.agents), nil)
}

// rowsThen yields the first n agents, then calls then, if any, and goes on.
func (p *sample) rowsThen(n int, then func() error) iter.Seq2[ota.Row, error] {
	return func(yield func(ota.Row, error) bool) {
		for i, row := range p.agents {
			if i == n && then != nil {
				if err := then(); err != nil {
					yield(ota.Row{}, err)
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
	row := p.plan
	if p.first.Names != nil {
		row.Names = *p.first.Names
	}
	row.Head, row.Parts = *p.first.Head, p.first.Parts
	row.Numbers, row.Revision = ota.Numbers{Epoch: 1, Control: 1, Progress: 1}, 1
	return row
}

const ruleCreate = "Create makes a plan that is not there yet"

// make creates a sample.
func (e *env) make(p *sample, rows iter.Seq2[ota.Row, error]) error {
	return e.store.Create(e.ctx, p.plan, rows, p.finish)
}

// create creates a sample, or stops the case.
func (e *env) create(p *sample) { e.ok(ruleCreate, e.make(p, p.rows())) }

// made creates a plan of 6 agents in batches of 2.
func (e *env) made(id string) *sample {
	p := e.sample(id, 6, 2)
	e.create(p)
	return p
}

func (e *env) plan(id string) ota.PlanRow {
	row, err := e.store.Plan(e.ctx, id)
	e.ok("Plan returns a plan that was created", err)
	return plain(row)
}

// owner returns an owner's commit on the plan as it is now, which changes nothing but the log.
func (e *env) owner(id string) ota.Commit {
	return ota.Commit{Plan: id, If: e.plan(id).Numbers, Log: ota.LogRow{At: e.now(1), Data: []byte("an owner's record")}}
}

// verb returns a verb's commit on the plan as it is now, which changes nothing but the log.
func (e *env) verb(id string) ota.Commit {
	return ota.Commit{
		Plan: id, If: ota.Numbers{Control: e.plan(id).Numbers.Control}, Log: ota.LogRow{At: e.now(1), Data: []byte("a verb's record")},
	}
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
	e.is(rule, err, want)
	e.same("a refused commit changes nothing", e.everything(c.Plan), before)
}

// busy is a row of an agent that every field has a part in.
func busy(number, n int) ota.Row {
	return ota.Row{
		Kind: ota.KindAgent, Number: number, Status: uint8(ota.TaskWaiting), Reason: ota.ReasonBackoff, State: some(17+40*n, byte(n)),
	}
}

// changing returns an owner's commit that changes every part of a plan that made has made.
func (e *env) changing(n int) ota.Commit {
	c := e.owner("p")
	c.Then = ota.Numbers{Control: c.If.Control + 1, Progress: c.If.Progress + 1}
	c.Names = &ota.Names{Name: fmt.Sprint("name ", n), Labels: map[string]string{"app": "p", "n": strconv.Itoa(n)}}
	c.Head = &ota.Head{
		Status: ota.StatusPausing, Hold: ota.ReasonBreached, Since: e.now(n), Person: n%2 == 0, Owner: "engine", Coverage: ota.CoveragePartial,
		Show: fmt.Appendf(nil, `{"batch":%d}`, n),
	}
	c.Parts = ota.Parts{Control: some(90, byte(n)), Progress: some(130, byte(n))}
	c.Rows = []ota.Row{
		{Kind: ota.KindBatch, Number: 2, Status: uint8(ota.BatchRunning), State: some(60, byte(n)), Show: []byte(`{"size":2}`)},
		busy(1, n), busy(4, n+1),
	}
	c.Log = ota.LogRow{At: e.now(n), Notable: true, Data: some(50, byte(n))}
	return c
}
