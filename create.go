package ota

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/seed-19b57ce3/ota/internal/hashset"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// Create makes a pending plan. Nothing starts before Start.
//
// Create streams the agents into the Store. It keeps only one or two hashes of each agent in
// memory, to find duplicates and IDs that look alike. Plan.Warnings names IDs that differ only in
// capitals, dashes or quotes. It also names IDs with combining marks, because Create does not find
// IDs that differ only in their Unicode normal form.
//
// The Plan that Create returns also has a warning if Start would be refused now, because other
// plans have claimed agents. The warning names some of them and these plans. Create compares the
// first 10,000 agents. Plan does not have this warning: Explain says what is true later.
//
// An error names every mistake of the Spec (see FieldErrors). Create returns ErrExists if another
// plan has the ID or the request key. It also returns the errors of Spec.Agents and of the Store. A
// Create that fails stores nothing.
func (e *Engine) Create(ctx context.Context, spec Spec) (Plan, error) {
	var m mistakes
	spec.check(&m)
	if spec.Agents == nil {
		return Plan{}, m.result()
	}
	if spec.ID == "" {
		spec.ID = "plan-" + uuid.NewString()
	}
	now := e.now()
	spec = spec.trimmed()
	d := e.newDraft(Resolved(ctx, spec, e.opt.Resolver), &m)
	np := newPlan{
		ID: spec.ID, RequestKey: spec.RequestKey, Fingerprint: spec.Fingerprint,
		Labels: cloneMap(spec.Labels), Index: slices.Clone(spec.Index), CreatedAt: now,
		Finish: func() (createdPlan, error) { return d.finish(e.warnings(), now) },
	}
	err := e.store.Create(ctx, np, d.rows())
	if errors.Is(err, ErrExists) && spec.RequestKey != "" {
		return e.sameRequest(ctx, spec, err)
	}
	if err != nil {
		e.logPanic(ctx, err, "name", shorten(spec.Name))
		return Plan{}, wrapError(err, "create plan %q", shorten(spec.Name))
	}
	e.changed(spec.ID)
	row, err := e.store.Plan(ctx, spec.ID)
	if err != nil {
		return Plan{}, wrapError(err, "plan %s", spec.ID)
	}
	return e.withClaims(ctx, &row), nil
}

// sameRequest answers a Create whose request key is taken. It returns the earlier plan if that came
// from the same request.
func (e *Engine) sameRequest(ctx context.Context, spec Spec, exists error) (Plan, error) {
	page, err := e.store.Plans(ctx, PlanQuery{Key: spec.RequestKey, Limit: 1})
	if err != nil {
		return Plan{}, wrapError(err, "create plan")
	}
	if len(page.Items) == 0 {
		return Plan{}, wrapError(exists, "create plan %q", spec.ID)
	}
	row := page.Items[0]
	if row.Fingerprint != spec.Fingerprint {
		return Plan{}, wrapError(fmt.Errorf("%w: request key %q was used for another request, plan %s", ErrExists, spec.RequestKey, row.ID), "create plan")
	}
	return e.withClaims(ctx, &row), nil
}

// warnings returns the warnings that every plan of this engine has.
func (e *Engine) warnings() []string {
	var w []string
	if e.with.Claimer == nil {
		w = append(w, "the store enforces no claims: two active plans may upgrade one agent")
	}
	if e.with.Leaser == nil {
		w = append(w, "the store knows no leases: an agent whose call has not returned is free for other plans once this one has ended")
	}
	return w
}

// draft is a plan that is being created. It checks the agents as they arrive, and cuts them into
// batches.
type draft struct {
	spec          Spec
	mistakes      *mistakes
	cut           *cutter
	seed          maphash.Seed
	seen          hashset.Set         // the hashes of the agents' IDs
	alike         lookAlikes          // IDs that look alike
	extraTasks    map[int]int         // by batch: how many tasks its agents have beyond their first
	components    map[string]struct{} // at most one name more than maxComponents
	unlabeled     []int               // by budget: agents without its label
	turns         turnsOfBatches      // of the budget with Values
	orderWarnings []string            // of Shape.arrange
	noVersion     int                 // agents without a version to go back to
	hasPrechecker bool                // a Prechecker may report those versions
}

func (e *Engine) newDraft(spec Spec, m *mistakes) *draft {
	return &draft{
		spec: spec, mistakes: m, cut: newCutter(spec.Shape), seed: maphash.MakeSeed(),
		unlabeled: make([]int, len(spec.Policy.Budgets)), turns: newTurnsOfBatches(spec.Policy.Budgets), extraTasks: map[int]int{}, components: map[string]struct{}{}, hasPrechecker: e.with.Prechecker != nil,
	}
}

// rows yields the agents as rows. If it ends without an error, the agents have no mistakes.
func (d *draft) rows() iter.Seq2[agentRow, error] {
	return func(yield func(agentRow, error) bool) {
		n := 0
		for a, err := range d.inGroups(d.agents()) {
			if err != nil {
				yield(agentRow{}, fmt.Errorf("agents[%d]: %w", n, err))
				return
			}
			n++
			d.check(n-1, a)
			for i := range d.unlabeled {
				if _, ok := a.Labels[d.spec.Policy.Budgets[i].Label]; !ok {
					d.unlabeled[i]++
				}
			}
			if d.spec.FromVersion == "" && a.Version == "" && len(a.Tasks) == 0 {
				d.noVersion++
			}
			batch, ok := d.cut.next()
			if !ok || d.mistakes.err != nil {
				continue // the plan is refused; the loop goes on to find more mistakes
			}
			d.turns.add(batch, a.Labels)
			row := newRow(n-1, batch, agentSpec{ID: a.ID, Version: trimVersion(a.Version), Labels: cloneMap(a.Labels), Tasks: keptTasks(withRelease(a.Tasks, a.Release))})
			if further := len(row.State.Rest); further > 0 {
				d.extraTasks[batch] += further
			}
			if !yield(row, nil) {
				return
			}
		}
		d.checkAll(n)
		if err := d.mistakes.result(); err != nil {
			yield(agentRow{}, err)
		}
	}
}

// checkAll adds the mistakes that only the whole list of n agents shows.
func (d *draft) checkAll(n int) {
	if n == 0 {
		d.mistakes.add("agents", "", "are none", "at least one")
		return
	}
	d.cut.check(d.mistakes)
	if len(d.components) > maxComponents {
		d.mistakes.add("agents", strconv.Itoa(len(d.components)), "have too many different component names",
			strconv.Itoa(maxComponents)+" at most; tell installations apart by component.instance")
	}
	if len(d.spec.Shape.Batches) == 0 { // else Policy.check knows the number
		d.spec.Policy.checkStageBatches(d.mistakes, len(d.cut.first))
	}
	for _, b := range d.spec.Policy.Hold.Batches {
		if n := len(d.cut.first); b >= n && len(d.spec.Shape.Batches) == 0 {
			allowed := holdable(n)
			if n > 1 {
				allowed = fmt.Sprintf("1 to %d", n-1)
			}
			d.mistakes.add("hold.batches", strconv.Itoa(b), "names no batch of the plan", allowed)
		}
	}
}

// inGroups yields the same agents. It reads a group of them, loads the memory of their hashes into
// the cache, and then yields the group. Without this each hash waits for memory by itself, which
// was a quarter of Create's time with a million agents.
func (d *draft) inGroups(agents iter.Seq2[Agent, error]) iter.Seq2[Agent, error] {
	return func(yield func(Agent, error) bool) {
		var group [32]Agent
		var hashes [len(group)]uint64
		n := 0
		flush := func() bool {
			for i := range n {
				hashes[i] = d.hash(group[i].ID)
			}
			d.seen.Prefetch(hashes[:n])
			for i := range n {
				if !yield(group[i], nil) {
					return false
				}
			}
			n = 0
			return true
		}
		for a, err := range agents {
			if err != nil {
				if flush() {
					yield(Agent{}, err)
				}
				return
			}
			group[n] = a
			if n++; n == len(group) && !flush() {
				return
			}
		}
		flush()
	}
}

// agents yields the agents in the order of the shape. If the shape needs the whole list, it is in
// memory.
func (d *draft) agents() iter.Seq2[Agent, error] {
	if !d.spec.Shape.needsAll() {
		return d.spec.Agents
	}
	return func(yield func(Agent, error) bool) {
		var all []Agent
		for a, err := range d.spec.Agents {
			if err != nil {
				yield(a, err)
				return
			}
			all = append(all, a)
		}
		d.cut.agents = len(all)
		d.orderWarnings = d.spec.Shape.arrange(all, d.spec.ToVersion)
		for _, a := range all {
			if !yield(a, nil) {
				return
			}
		}
	}
}

// check adds the mistakes of agent i, a.
func (d *draft) check(i int, a Agent) {
	if i == maxAgents {
		d.mistakes.add("agents", "", "are too many", strconv.Itoa(maxAgents)+" at most")
	}
	if a.ID == "" {
		d.mistakes.agent(fmt.Sprintf("agents[%d].id", i), "", "is empty", "1 to 255 bytes")
		return
	}
	if problem := idProblem(a.ID); problem != "" {
		d.mistakes.agent(fmt.Sprintf("agents[%d].id", i), strconv.QuoteToASCII(shorten(a.ID)), problem, idAllowed)
	}
	if a.Version != "" {
		if problem := versionProblem(a.Version); problem != "" {
			d.mistakes.agent(fmt.Sprintf("agents[%d].version", i), strconv.Quote(shorten(a.Version)), problem, textAllowed(maxText))
		}
	}
	if a.Release != "" {
		if problem := versionProblem(a.Release); problem != "" {
			d.mistakes.agent(fmt.Sprintf("agents[%d].release", i), strconv.Quote(shorten(a.Release)), problem, textAllowed(maxText))
		}
	}
	if len(a.Labels) > 0 {
		d.checkLabels(i, a.Labels)
	}
	if a.Tasks != nil {
		d.checkTasks(i, a.Tasks)
	}
	// A 64-bit hash finds every duplicate. Two different IDs of a million share a hash once in
	// thirty million plans. The seed belongs to this call, so the next try succeeds.
	h := d.hash(a.ID)
	if !d.seen.Add(h) {
		d.mistakes.agent(fmt.Sprintf("agents[%d].id", i), strconv.Quote(shorten(a.ID)), "is in the plan twice", "every agent once")
		return
	}
	d.alike.see(a.ID, h, d.seed, &d.seen)
}

func (d *draft) hash(id string) uint64 { return maphash.String(d.seed, id) }

func (d *draft) checkLabels(i int, labels map[string]string) {
	var own mistakes
	checkMap(&own, "labels", labels, maxText)
	for _, f := range FieldErrors(own.result()) {
		d.mistakes.agent(fmt.Sprintf("agents[%d].%s", i, f.Field), f.Value, f.Problem, f.Allowed)
	}
}

// finish returns the parts of the plan that depend on its agents.
func (d *draft) finish(warnings []string, now time.Time) (createdPlan, error) {
	s, p := d.spec, d.spec.Policy.withDefaults()
	batches := d.cut.rows()
	for i, n := range d.extraTasks {
		batches[i].Tasks.Pending += n
	}
	spec := planSpec{
		Schema: Schema, Name: s.Name, FromVersion: s.FromVersion, FromRelease: s.FromRelease,
		ToVersion: s.ToVersion, ToRelease: s.ToRelease, CreatedBy: s.CreatedBy, CreatedAt: now,
		Labels: cloneMap(s.Labels), Agents: d.cut.total, Batches: len(batches), Warnings: warnings,
		Components: slices.Sorted(maps.Keys(d.components)), Represent: slices.Clone(s.Shape.Represent),
	}
	spec.Warnings = append(spec.Warnings, specWarnings(s, d.cut.total)...)
	spec.Warnings = append(spec.Warnings, d.alike.warnings()...)
	spec.Warnings = append(spec.Warnings, d.turns.warnings()...)
	spec.Warnings = append(spec.Warnings, d.orderWarnings...)
	if d.noVersion > 0 && !d.hasPrechecker {
		spec.Warnings = append(spec.Warnings, fmt.Sprintf("%d of %s %s no version to go back to: a rollback leaves them out", d.noVersion, plural.Count(d.cut.total, "agent"), plural.Verb(d.noVersion, "has", "have")))
	}
	c := planControl{Schema: Schema, Policy: p, Annotations: cloneMap(s.Annotations), RollbackSpec: s.Rollback, Unlabeled: d.unlabeled}
	c.Expected = p.expectTables(d.cut.total, len(batches), largestBatch(batches))
	c.Warnings = policyWarnings(p, batches, d.cut.total, c.Unlabeled)
	return created(spec, c, batches, cmp.Or(s.Actor, s.CreatedBy), now), nil
}

// checkTasks adds the mistakes of the tasks of agent i.
func (d *draft) checkTasks(i int, tasks []TaskSpec) {
	field := fmt.Sprintf("agents[%d].tasks", i)
	switch n := len(tasks); {
	case n == 0:
		d.mistakes.agent(field, "", "are none", "1 to 64; no list, or a zero TaskSpec, gives the agent one task")
		return
	case n > maxTasks:
		d.mistakes.agent(field, strconv.Itoa(n), "are too many", "1 to 64")
		return
	}
	for k := range tasks {
		t := &tasks[k]
		at := field + "[" + strconv.Itoa(k) + "]"
		for _, text := range []struct{ name, value string }{
			{".component.name", t.Component.Name},
			{".component.id", t.Component.ID},
			{".component.instance", t.Component.Instance},
			{".component.node", t.Component.Node},
			{".component.owner", t.Component.Owner},
			{".fromVersion", t.FromVersion},
			{".fromRelease", t.FromRelease},
			{".toVersion", t.ToVersion},
			{".toRelease", t.ToRelease},
		} {
			problem := textProblem(text.value, maxText)
			if !strings.HasPrefix(text.name, ".component") {
				problem = versionProblem(text.value)
			}
			if problem != "" {
				d.mistakes.agent(at+text.name, strconv.Quote(shorten(text.value)), problem, textAllowed(maxText))
			}
		}
		if t.Component.Name != "" && len(d.components) <= maxComponents {
			d.components[t.Component.Name] = struct{}{}
		}
		if len(tasks) > 1 && t.Component.Name == "" {
			d.mistakes.agent(at+".component.name", "", "is empty", "1 to 255 bytes, where an agent has several tasks")
		}
		if slices.ContainsFunc(tasks[:k], func(x TaskSpec) bool { return x.Component.same(t.Component) }) {
			d.mistakes.agent(at+".component", strconv.Quote(shorten(t.Component.Name)), "is there twice",
				"another name or another instance for every task of an agent")
		}
	}
}

// created returns the first state of a plan.
func created(spec planSpec, c planControl, batches []batchRow, actor string, now time.Time) createdPlan {
	tasks := Counts{}
	for i := range batches {
		tasks.Pending += batches[i].Tasks.Pending
	}
	e := Event{
		Kind: EventCreated, Batch: -1, Number: spec.Agents, Actor: actor,
		Text: plural.Count(spec.Agents, "agent") + " in " + plural.Count(spec.Batches, "batch"),
	}
	p := planProgress{Schema: Schema, Counts: Counts{Pending: spec.Agents}, Tasks: tasks}
	v := headView(&spec, &c, &p, StatusPending, now)
	log, _ := encodeRecord(now, StatusPending, "", e)
	return createdPlan{Spec: spec, Control: c, Progress: p, Head: v.headAfter(&Head{}, nil), Batches: batches, Log: log}
}
