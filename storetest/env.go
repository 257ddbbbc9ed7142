package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// env is what a case works with: an empty store, and helpers that stop the case at the first broken rule.
type env struct {
	ctx    context.Context
	store  ota.Store
	step   time.Duration
	reopen func(s ota.Store) ota.Store
}

func (e *env) skip(reason string) { panic(stop{skipped{reason}}) }

// that stops the case unless held. The failure text is the rule, then what was seen.
func (e *env) that(rule string, held bool, format string, args ...any) {
	if !held {
		panic(stop{fmt.Errorf("%s\n\t%s", rule, fmt.Sprintf(format, args...))})
	}
}

func (e *env) ok(rule string, err error) {
	e.that(rule, err == nil, "got error %v", err)
}

func (e *env) is(rule string, err, want error) {
	e.that(rule, errors.Is(err, want), "got error %v, want %v", err, want)
}

// same compares two values by what they hold: their JSON, so that nil and empty, or two forms of one time, are equal.
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

// everything is all that a store knows about a plan.
type everything struct {
	Plan    ota.PlanRow
	Batches []ota.BatchRow
	Agents  []ota.AgentRow
	Log     []ota.LogRow
}

func (e *env) everything(id string) everything {
	log, err := e.store.Log(e.ctx, id, 0, 100_000)
	e.ok("Log returns the records of a plan that is there", err)
	return everything{Plan: e.plan(id), Batches: e.batches(id), Agents: e.agents(id, ota.RowQuery{Limit: 100_000}), Log: log}
}

// frozen is everything at this moment, even if the store gives what it will change.
func (e *env) frozen(id string) json.RawMessage {
	return json.RawMessage(e.text(e.everything(id)))
}

func (e *env) batches(id string) []ota.BatchRow {
	page, err := e.store.Batches(e.ctx, id, ota.RowQuery{Limit: 100_000})
	e.ok("Batches returns the batches of a plan that is there", err)
	return page.Items
}

func (e *env) agents(id string, q ota.RowQuery) []ota.AgentRow {
	page, err := e.store.Agents(e.ctx, id, q)
	e.ok("Agents returns the agents of a plan that is there", err)
	return page.Items
}

// absent expects that nothing of a plan is to be seen.
func (e *env) absent(rule, id string) {
	_, err := e.store.Plan(e.ctx, id)
	e.is(rule, err, ota.ErrNotFound)
	_, err = e.store.Agents(e.ctx, id, ota.RowQuery{})
	e.is(rule, err, ota.ErrNotFound)
	_, err = e.store.Batches(e.ctx, id, ota.RowQuery{})
	e.is(rule, err, ota.ErrNotFound)
	_, err = e.store.Log(e.ctx, id, 0, 1)
	e.is(rule, err, ota.ErrNotFound)
	page, err := e.store.Plans(e.ctx, ota.PlanQuery{})
	e.ok("Plans answers", err)
	listed := slices.ContainsFunc(page.Items, func(p ota.PlanRow) bool { return p.ID == id })
	e.that(rule, !listed, "got it listed by Plans")
}
