package ota

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// RollbackSpec is what may be different about a rollback plan. The zero value gives the name "Rollback of …" and the
// source's labels and present policy, without its list of held batches. Versions, agents and batches follow from the
// source. A Spec may hold one, for the rollback that a breach asks for; CreateRollback and Rollback take their own, and
// nothing of the Spec's.
type RollbackSpec struct {
	Name        string            `json:"name,omitempty"`        // at most 255 bytes
	Labels      map[string]string `json:"labels,omitempty"`      // besides the source's, or in their place; at most 64 of 255 bytes each
	Annotations map[string]string `json:"annotations,omitempty"` // the source's are not taken over; at most 64, values of at most 64 KiB
	// Policy is the whole policy, instead of the source's. To change one thing, begin with a copy of Plan.Policy.
	Policy *Policy `json:"policy,omitempty"`
	// Interrupt ends the contexts of the source's calls in flight when the rollback starts; otherwise they drain.
	Interrupt bool `json:"interrupt,omitempty"`
}

func (s RollbackSpec) check(m *mistakes) {
	checkText(m, "rollback.name", s.Name, maxText)
	checkMap(m, "rollback.labels", s.Labels, maxText)
	checkMap(m, "rollback.annotations", s.Annotations, maxAnnotation)
	if s.Policy != nil {
		m.in = "rollback."
		s.Policy.check(m, 0)
		m.in = ""
	}
}

// rollbackID is the ID of a plan's rollback plan; n is how many of them were canceled before.
func rollbackID(source string, n int) string {
	return "plan-" + uuid.NewSHA1(rollbackSpace, []byte(source+"/"+strconv.Itoa(n))).String()
}

var rollbackSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("github.com/seed-19b57ce3/ota/rollback"))

// CreateRollback makes the plan that takes back what a plan has touched, and freezes that plan: nothing starts in it any
// more. The rollback plan is pending, and runs once it is started. Saying it again returns the same plan.
//
// It holds every agent that may have been changed, each with the version it had before: what the Spec said for that agent, else
// FromVersion. Agents without a known version, and agents that a later plan has touched, are left out and listed in its
// Warnings. It returns ErrNothing when nothing was touched, and a *StateError for a plan that never started or is a rollback itself.
func (e *Engine) CreateRollback(ctx context.Context, id string, spec RollbackSpec, by By) (Plan, error) {
	row, err := e.createRollback(ctx, id, spec, by, VerbCreateRollback)
	if err != nil {
		return Plan{}, err
	}
	return planOf(&row), nil
}

// Rollback is CreateRollback and the Start of that plan, which begins once nothing of the source is in flight. The source
// rolls back meanwhile, and has rolled back when the rollback plan completes. It returns the rollback plan.
func (e *Engine) Rollback(ctx context.Context, id string, spec RollbackSpec, by By) (Plan, error) {
	row, err := e.createRollback(ctx, id, spec, by, VerbRollback)
	if err != nil {
		return Plan{}, err
	}
	return e.startRollback(ctx, row, by)
}

// CanRollback tells whether Rollback would be legal now, and of how many agents; it changes nothing. A plan that cannot be rolled
// back gives the error that Rollback would give. Agents in flight count, although they may turn out untouched; agents
// without a version to go back to do too.
func (e *Engine) CanRollback(ctx context.Context, id string) (agents int, err error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("ota: plan %s: %w", id, err)
	}
	w := &saying{ctx: ctx, store: e.store, verb: VerbRollback, row: row, now: e.now(), c: row.Control}
	if row.Control.Rollback == nil || row.Source != "" {
		if err := w.freeze(RollbackSpec{}); err != nil {
			return 0, err
		}
	}
	return row.Progress.Touched + row.Progress.Counts.Running, nil
}

// createRollback freezes the source and makes the rollback plan: two commits, each idempotent. When it dies between
// them, whoever drives the source next makes the plan.
func (e *Engine) createRollback(ctx context.Context, id string, spec RollbackSpec, by By, verb Verb) (PlanRow, error) {
	var m mistakes
	spec.check(&m)
	if err := m.result(); err != nil {
		return PlanRow{}, err
	}
	source, err := e.sayRow(ctx, id, verb, by, func(w *saying) error { return w.freeze(spec) })
	if err != nil {
		return PlanRow{}, err
	}
	return e.ensureRollback(ctx, &source)
}

// freeze ties the rollback plan to its source; nothing starts in the source from then on.
func (w *saying) freeze(spec RollbackSpec) error {
	if w.row.Source != "" {
		return w.refuse("it is a rollback itself; roll forward with a new plan")
	}
	if w.frozen() {
		return nil
	}
	if !undoing(&w.row.Control, &w.row.Progress) { // a breach has asked for it already
		if err := w.legal(); err != nil {
			return err
		}
	}
	if p := &w.row.Progress; p.Touched+p.Counts.Running == 0 {
		return fmt.Errorf("%w: plan %s has touched no agent", ErrNothing, w.row.ID)
	}
	w.c.Rollback = &RollbackRef{ID: rollbackID(w.row.ID, w.c.Rollbacks), Spec: spec, Frozen: w.stamp()}
	w.event(Event{Kind: EventFrozen, Batch: -1, Text: w.c.Rollback.ID})
	return nil
}

// ensureRollback makes the rollback plan of a frozen source, unless it is there. One that would be empty is none, and the freeze is
// taken back.
func (e *Engine) ensureRollback(ctx context.Context, source *PlanRow) (PlanRow, error) {
	id := source.Control.Rollback.ID
	row, err := e.store.Plan(ctx, id)
	if err == nil || !errors.Is(err, ErrNotFound) {
		return row, err
	}
	u := &undo{e: e, ctx: ctx, source: source}
	np := NewPlan{
		ID: id, Source: source.ID, CreatedAt: e.now(), Labels: u.labels(),
		Finish: func() (Created, error) { return u.finish(e.warnings()) },
	}
	err = e.store.Create(ctx, np, u.rows())
	if errors.Is(err, ErrNothing) {
		if err := e.rollbackOff(ctx, source.ID, id, "nothing to roll back"); err != nil {
			return PlanRow{}, err
		}
		return PlanRow{}, fmt.Errorf("%w: no agent of plan %s has a version to go back to", ErrNothing, source.ID)
	}
	if err != nil && !errors.Is(err, ErrExists) {
		return PlanRow{}, fmt.Errorf("ota: create rollback of plan %s: %w", source.ID, err)
	}
	e.changed(id)
	return e.store.Plan(ctx, id)
}

// startRollback starts a rollback plan and makes its source roll back. The claims come first: a conflict changes nothing.
func (e *Engine) startRollback(ctx context.Context, row PlanRow, by By) (Plan, error) {
	source, err := e.store.Plan(ctx, row.Source)
	if err != nil {
		return Plan{}, fmt.Errorf("ota: start rollback plan %s: %w", row.ID, err)
	}
	if ref := source.Control.Rollback; ref == nil || ref.ID != row.ID {
		return Plan{}, &StateError{
			Plan: row.ID, Verb: VerbStart, Have: statusOf(&row.Control, &row.Progress),
			Hint: "it is not the rollback plan of plan " + row.Source + " any more",
		}
	}
	if statusOf(&row.Control, &row.Progress) != StatusPending { // it was started before
		return planOf(&row), nil
	}
	if err := e.claim(ctx, row.ID, row.Source); err != nil {
		return Plan{}, err
	}
	by.Control = 0 // it was about the plan that the caller named, and has been compared
	if _, err := e.sayRow(ctx, row.Source, VerbRollback, by, func(w *saying) error { return w.rollBack(row.ID) }); err != nil {
		return Plan{}, err
	}
	p, err := e.say(ctx, row.ID, VerbStart, by, (*saying).start)
	if errors.Is(err, ErrState) { // whoever drives the source has started it meanwhile, and it has gone on since
		return e.Plan(ctx, row.ID)
	}
	return p, err
}

// rollBack makes the source roll back.
func (w *saying) rollBack(id string) error {
	ref := w.c.Rollback
	if ref == nil || ref.ID != id {
		return w.refuse("its rollback plan is gone")
	}
	if ref.Started != nil {
		return nil
	}
	started := *ref
	started.Started = &Stop{Stamp: w.stamp(), Interrupt: ref.Spec.Interrupt}
	w.c.Undone = w.row.Progress.Struck
	w.c.Rollback = &started
	w.event(Event{Kind: EventRollback, Batch: -1, Text: id})
	return nil
}

// rollbackOff unties a rollback plan from its source: one that was canceled, or would have been empty. A source that
// has not ended is then paused.
func (e *Engine) rollbackOff(ctx context.Context, source, id, why string) error {
	if c, ok := e.store.(Claimer); ok {
		if p, err := e.store.Plan(ctx, source); err == nil && p.Progress.End == StatusUnknown && p.Control.Cancel == nil {
			if _, _, err := c.Claim(ctx, source, id); err != nil {
				return err
			}
		}
	}
	_, err := e.sayRow(ctx, source, VerbCreateRollback, By{Reason: why}, func(w *saying) error {
		if w.c.Rollback == nil || w.c.Rollback.ID != id {
			return nil
		}
		w.c.Rollback = nil
		w.c.Rollbacks++
		w.c.Undone = w.row.Progress.Struck
		if w.row.Progress.End == StatusUnknown && w.c.Cancel == nil && w.c.Paused == nil {
			s := w.stamp()
			w.c.Paused = &s
		}
		w.event(Event{Kind: EventRollbackOff, Batch: -1, Text: id})
		return nil
	})
	return err
}

// rolledBack ends a source whose rollback plan has completed.
func (e *Engine) rolledBack(ctx context.Context, source, id string) error {
	_, err := e.sayRow(ctx, source, VerbRollback, By{}, func(w *saying) error {
		ref := w.c.Rollback
		if ref == nil || ref.ID != id || !ref.Done.IsZero() {
			return nil
		}
		done := *ref
		done.Done = w.now
		w.c.Rollback = &done
		w.event(Event{Kind: EventRolledBack, Batch: -1, Text: id})
		return nil
	})
	return err
}

// undo is a rollback plan being made: it reads the source's batches, the current one first and then from the last to the
// first, and within each those in flight first, then in reverse order of completion. One batch is held in memory at a time.
type undo struct {
	e        *Engine
	ctx      context.Context
	source   *PlanRow
	batches  []BatchRow
	total    int
	doubtful int
	unknown  []string // agents without a version to go back to
	later    []string // agents that a later plan has touched
	left     int      // how many were left out
}

func (u *undo) rows() iter.Seq2[AgentRow, error] {
	return func(yield func(AgentRow, error) bool) {
		later, err := u.e.laterPlans(u.ctx, u.source)
		if err != nil {
			yield(AgentRow{}, err)
			return
		}
		for _, i := range u.order() {
			agents, err := u.batch(i, later)
			if err != nil {
				yield(AgentRow{}, err)
				return
			}
			for k := range agents {
				if !yield(agents[k], nil) {
					return
				}
			}
		}
		if u.total == 0 {
			yield(AgentRow{}, ErrNothing)
		}
	}
}

func (u *undo) order() []int {
	p := &u.source.Progress
	current := min(p.Batch, u.source.Spec.Batches-1)
	order := []int{current}
	for i := p.Reached; i >= 0; i-- {
		if i != current {
			order = append(order, i)
		}
	}
	return order
}

// batch reads the agents of one batch of the source that are to be taken back.
func (u *undo) batch(i int, later []string) ([]AgentRow, error) {
	page, err := u.e.store.Batches(u.ctx, u.source.ID, RowQuery{From: i, To: i + 1})
	if err != nil || len(page.Items) == 0 {
		return nil, err
	}
	src := page.Items[0]
	var found []AgentRow
	for q := (RowQuery{From: src.First, To: src.First + src.Size}); ; {
		page, err := u.e.store.Agents(u.ctx, u.source.ID, q)
		if err != nil {
			return nil, err
		}
		found = slices.Grow(found, len(page.Items))
		for _, r := range page.Items {
			q.From = r.Ordinal + 1
			if r.State.Flags&AgentTouched != 0 || r.State.Status == TaskRunning {
				found = append(found, r)
			}
		}
		if !page.More {
			break
		}
	}
	slices.SortStableFunc(found, func(a, b AgentRow) int {
		return cmp.Or(-cmp.Compare(inFlight(&a), inFlight(&b)), -cmp.Compare(lastEnd(&a), lastEnd(&b)))
	})
	return u.take(src, found, later)
}

func inFlight(r *AgentRow) int {
	if r.State.Status == TaskRunning {
		return 1
	}
	return 0
}

func lastEnd(r *AgentRow) int64 {
	end := r.State.Task.Ended
	for i := range r.State.Rest {
		end = max(end, r.State.Rest[i].Ended)
	}
	return end
}

// take makes rows of the rollback plan from rows of its source.
func (u *undo) take(src BatchRow, found []AgentRow, later []string) ([]AgentRow, error) {
	gone, err := u.touchedLater(found, later)
	if err != nil {
		return nil, err
	}
	b := BatchRow{Index: len(u.batches), Name: src.Name, First: u.total, Cursor: u.total}
	var out []AgentRow
	for i := range found {
		r := &found[i]
		if gone[r.Agent.ID] {
			u.leave(&u.later, r.Agent.ID)
			continue
		}
		spec, ok := u.undone(r)
		if !ok {
			continue
		}
		if r.State.Status == TaskRunning {
			u.doubtful = u.total + 1 // those in flight come first, but an earlier batch that was reopened comes before them
		}
		row := newRow(u.total, b.Index, spec)
		b.Tasks.Pending += row.State.tasks()
		out = append(out, row)
		u.total++
	}
	b.Size = len(out)
	b.Counts.Pending = b.Size
	if b.Size > 0 {
		u.batches = append(u.batches, b)
	}
	return out, nil
}

// undone is an agent of the source as its rollback plan has it: with the tasks that may have changed it, the last one
// first, each from where it was brought to back to where it was. It is not there when nothing of it has a version to go
// back to.
func (u *undo) undone(r *AgentRow) (spec AgentSpec, ok bool) {
	src := &u.source.Spec
	spec = AgentSpec{ID: r.Agent.ID, Version: cmp.Or(r.Agent.Target, src.ToVersion), Labels: r.Agent.Labels}
	spec.Target = r.previous(src)
	if len(r.Agent.Tasks) == 0 {
		if spec.Target == "" {
			u.leave(&u.unknown, r.Agent.ID)
		}
		return spec, spec.Target != ""
	}
	for i := len(r.Agent.Tasks) - 1; i >= 0; i-- {
		if !r.State.touched(i) && r.State.task(i).Status != TaskRunning {
			continue
		}
		t := src.task(&r.Agent, i)
		back := TaskSpec{
			Component: t.Component, FromVersion: t.ToVersion, FromRelease: t.ToRelease, ToVersion: t.FromVersion, ToRelease: t.FromRelease,
		}
		if len(r.Agent.Tasks) == 1 && spec.Target != "" && r.Agent.Tasks[i].FromVersion == "" {
			back.ToVersion = spec.Target // what the agent itself has reported
		}
		if back.ToVersion == "" {
			u.leave(&u.unknown, strings.TrimSuffix(r.Agent.ID+" "+t.Component.Name, " "))
			continue
		}
		spec.Tasks = append(spec.Tasks, back)
	}
	return spec, len(spec.Tasks) > 0
}

func (u *undo) leave(list *[]string, id string) {
	u.left++
	if len(*list) < maxNamed {
		*list = append(*list, id)
	}
}

// touchedLater tells which of these agents one of the later plans may have changed.
func (u *undo) touchedLater(rows []AgentRow, later []string) (map[string]bool, error) {
	gone := map[string]bool{}
	for _, plan := range later {
		for chunk := range slices.Chunk(rows, orderChunk) {
			q := RowQuery{Limit: len(chunk)}
			for i := range chunk {
				q.IDs = append(q.IDs, chunk[i].Agent.ID)
			}
			page, err := u.e.store.Agents(u.ctx, plan, q)
			if err != nil {
				return nil, err
			}
			for _, r := range page.Items {
				if r.State.Flags&AgentTouched != 0 {
					gone[r.Agent.ID] = true
				}
			}
		}
	}
	return gone, nil
}

// laterPlans lists the plans, started after the source, that may have changed agents of it since. An active source holds its claims, so there
// are none; a plan that was rolled back, and its rollback plan, have left no trace.
func (e *Engine) laterPlans(ctx context.Context, source *PlanRow) ([]string, error) {
	if source.Progress.End == StatusUnknown && source.Control.Cancel == nil || source.Control.Started == nil {
		return nil, nil
	}
	var later []string
	for q := (PlanQuery{}); ; {
		page, err := e.store.Plans(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			r := &page.Items[i]
			started := r.Control.Started
			switch {
			case r.ID == source.ID, r.Source != "", started == nil, started.At.Before(source.Control.Started.At):
			case r.Progress.Touched == 0, statusOf(&r.Control, &r.Progress) == StatusRolledBack:
			default:
				later = append(later, r.ID)
			}
		}
		q.Offset += len(page.Items)
		if !page.More {
			return later, nil
		}
	}
}

func (u *undo) labels() map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, u.source.Spec.Labels)
	maps.Copy(labels, u.source.Control.Rollback.Spec.Labels)
	return labels
}

func (u *undo) finish(warnings []string) (Created, error) {
	src, spec := &u.source.Spec, u.source.Control.Rollback.Spec
	p := u.source.Control.Policy
	p.Hold.Batches = nil
	if spec.Policy != nil {
		p = *spec.Policy
	}
	p = p.withDefaults()
	now := u.e.now()
	for _, w := range []struct {
		ids  []string
		what string
	}{{u.unknown, "have no known version to go back to"}, {u.later, "were changed by a later plan"}} {
		if len(w.ids) > 0 {
			warnings = append(warnings, fmt.Sprintf("agents left out because they %s: %v", w.what, w.ids))
		}
	}
	if n := u.left - len(u.unknown) - len(u.later); n > 0 {
		warnings = append(warnings, fmt.Sprintf("%d more agents were left out", n))
	}
	by := u.source.Control.Rollback.Frozen
	return created(PlanSpec{
		Schema: Schema, Name: cmp.Or(spec.Name, shorten255("Rollback of "+src.Name)), FromVersion: src.ToVersion, FromRelease: src.ToRelease,
		ToVersion: src.FromVersion, ToRelease: src.FromRelease, CreatedBy: by.Actor, CreatedAt: now, Labels: u.labels(),
		Agents: u.total, Batches: len(u.batches), Source: u.source.ID, Doubtful: u.doubtful, Warnings: warnings,
		Components: slices.Clone(src.Components),
	}, Control{Schema: Schema, Policy: p, Annotations: cloneMap(spec.Annotations)}, u.batches, by.Actor, now), nil
}

func shorten255(s string) string { return s[:min(len(s), maxText)] }

// linkState is what the driver of a rollback plan knows of its source.
type linkState struct {
	drained   bool    // nothing of the source is in flight or waits
	untouched []doubt // doubtful tasks of the rollback that turned out untouched
}

// doubt is a task of a rollback that was in flight in the source when that was frozen.
type doubt struct{ ordinal, task int }

// tend does what is due between the two plans of a rollback, from the side of either: it finishes what a process that died
// has begun, ends the source when its rollback has ended, and tells a rollback whether its source has drained.
func (e *Engine) tend(ctx context.Context, id string) (linkState, error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return linkState{}, err
	}
	if row.Source != "" {
		return e.tendRollback(ctx, &row)
	}
	return linkState{}, e.tendSource(ctx, &row)
}

func (e *Engine) tendSource(ctx context.Context, row *PlanRow) error {
	ref := row.Control.Rollback
	if ref == nil {
		if !undoing(&row.Control, &row.Progress) {
			return nil
		}
		return e.rollBackByItself(ctx, row)
	}
	if !ref.Done.IsZero() {
		return nil
	}
	r, err := e.ensureRollback(ctx, row)
	if err != nil {
		if errors.Is(err, ErrNothing) {
			return nil
		}
		return err
	}
	switch st := statusOf(&r.Control, &r.Progress); {
	case st == StatusCompleted:
		return e.rolledBack(ctx, row.ID, r.ID)
	case st == StatusCanceled:
		return e.rollbackOff(ctx, row.ID, r.ID, "rollback plan "+r.ID+" was canceled")
	case st == StatusPending && ref.Started != nil:
		_, err := e.startRollback(ctx, r, By{Actor: ref.Started.Actor, Reason: ref.Started.Reason})
		return err
	case st == StatusPending && undoing(&row.Control, &row.Progress):
		_, err := e.startRollback(ctx, r, breachedBy(row))
		return err
	}
	return nil
}

// rollBackByItself carries out the rollback that a breach asked for.
func (e *Engine) rollBackByItself(ctx context.Context, row *PlanRow) error {
	by := breachedBy(row)
	var spec RollbackSpec
	if t := row.Control.Template; t != nil {
		spec = *t
	}
	_, err := e.Rollback(ctx, row.ID, spec, by)
	if !errors.Is(err, ErrNothing) {
		return err
	}
	_, err = e.sayRow(ctx, row.ID, VerbRollback, by, func(w *saying) error {
		if w.c.Undone >= w.row.Progress.Struck {
			return nil
		}
		w.c.Undone = w.row.Progress.Struck
		w.event(Event{Kind: EventRollbackOff, Batch: -1, Text: "nothing to roll back"})
		return nil
	})
	return err
}

// breachedBy is who says the verbs that follow from a breach.
func breachedBy(row *PlanRow) By {
	by := By{Actor: "ota"}
	if b := standing(&row.Control, &row.Progress); b != nil {
		by.Reason = shorten255(b.String())
	}
	return by
}

// tendRollback looks whether the source has drained, and which agents that were in flight then turned out untouched.
func (e *Engine) tendRollback(ctx context.Context, row *PlanRow) (linkState, error) {
	source, err := e.store.Plan(ctx, row.Source)
	if err != nil {
		return linkState{}, err
	}
	if err := e.tendSource(ctx, &source); err != nil {
		return linkState{}, err
	}
	p := &source.Progress
	st := linkState{drained: p.Counts.Running+p.Counts.Waiting == 0}
	if !st.drained || row.Progress.Doubts >= row.Spec.Doubtful {
		return st, nil
	}
	for from := 0; from < row.Spec.Doubtful; {
		page, err := e.store.Agents(ctx, row.ID, RowQuery{From: from, To: row.Spec.Doubtful, Limit: orderChunk})
		if err != nil || len(page.Items) == 0 {
			return linkState{}, err
		}
		rows := map[string]*AgentRow{}
		q := RowQuery{Limit: orderChunk}
		for i := range page.Items {
			r := &page.Items[i]
			from = r.Ordinal + 1
			rows[r.Agent.ID] = r
			q.IDs = append(q.IDs, r.Agent.ID)
		}
		was, err := e.store.Agents(ctx, source.ID, q)
		if err != nil {
			return linkState{}, err
		}
		for i := range was.Items {
			st.untouched = appendUntouched(st.untouched, rows[was.Items[i].Agent.ID], &was.Items[i])
		}
	}
	slices.SortFunc(st.untouched, func(a, b doubt) int {
		return cmp.Or(cmp.Compare(a.ordinal, b.ordinal), cmp.Compare(a.task, b.task))
	})
	return st, nil
}

// appendUntouched adds the tasks of an agent's row in the rollback that never touched it in the source. What is the same
// task in both is told by its component.
func appendUntouched(list []doubt, row, was *AgentRow) []doubt {
	for k := range row.State.tasks() {
		i := 0
		if len(row.Agent.Tasks) > 0 {
			i = slices.IndexFunc(was.Agent.Tasks, func(t TaskSpec) bool { return t.Component.same(row.Agent.Tasks[k].Component) })
		}
		if !was.State.touched(i) {
			list = append(list, doubt{row.Ordinal, k})
		}
	}
	return list
}

// created is the first state of a plan.
func created(spec PlanSpec, c Control, batches []BatchRow, actor string, now time.Time) Created {
	tasks := Counts{}
	for i := range batches {
		tasks.Pending += batches[i].Tasks.Pending
	}
	e := Event{
		Kind: EventCreated, Batch: -1, Number: spec.Agents, Actor: actor,
		Text: fmt.Sprintf("%d agents in %d batches", spec.Agents, spec.Batches),
	}
	return Created{
		Spec: spec, Control: c, Progress: Progress{Schema: Schema, Counts: Counts{Pending: spec.Agents}, Tasks: tasks}, Status: StatusPending,
		Batches: batches, Log: encodeRecord(now, StatusPending, e),
	}
}
