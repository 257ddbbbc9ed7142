package ota

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// Explanation is the present work of a plan and, if it makes no progress, every reason for that.
type Explanation struct {
	Plan     string    `json:"plan"`
	Status   Status    `json:"status"`
	Batch    int       `json:"batch"`
	Legal    []Verb    `json:"legal"`    // accepted now, in a fixed order; see LegalVerbs
	Blockers []Blocker `json:"blockers"` // not empty while an active plan makes no progress

	back string // ID of its rollback plan
}

// Sentence returns the first blocker as a sentence, and the first one of its rollback plan. Without
// a blocker it returns the status and the batch.
func (x Explanation) Sentence() string {
	if len(x.Blockers) > 0 {
		s := x.Blockers[0].String()
		if i := slices.IndexFunc(x.Blockers, func(b Blocker) bool { return b.Plan != "" }); i > 0 {
			s += ". " + x.Blockers[i].String()
		}
		return s
	}
	return fmt.Sprintf("The plan is %s, at batch %d", x.Status, x.Batch)
}

// Explain lists why a plan does not go on, or does not go faster: every limit and barrier that
// blocks it now. For each it says when that clears by itself, or which verb clears it. Explain
// calls the same code that decides. The answer is exact in the process that drives the plan.
// Elsewhere it comes from the stored state.
//
// A plan that rolls back, or is frozen, waits for its rollback plan. So the blockers of that plan
// follow its own.
//
// For a pending plan, Explain names agents that other plans have claimed. It compares the first
// 10,000 agents.
//
// Explain names the agents that wait to start by Now. It also names agents whose call is in flight
// for half of AttemptTimeout or longer, and the verb that gives such a call up. Outside the process
// that drives the plan it looks at the first 1,000 agents that are in flight or wait.
func (e *Engine) Explain(ctx context.Context, id string) (Explanation, error) {
	x, err := e.explainOne(ctx, id)
	if err != nil || x.back == "" {
		return x, err
	}
	row, err := e.store.listed(ctx, x.back)
	if errors.Is(err, ErrNotFound) { // it is about to be made
		return x, nil
	}
	other, err2 := e.explainOne(ctx, x.back)
	if err = errors.Join(err, err2); err != nil {
		return Explanation{}, err
	}
	for i := range x.Blockers {
		if b := &x.Blockers[i]; b.Reason == ReasonFrozen || b.Reason == ReasonRollingBack {
			b.Text += " is " + other.Status.String()
		}
	}
	for _, b := range other.Blockers {
		b.Plan = x.back
		if b.Reason == row.Head.Hold {
			b.Since = row.Head.Since
		}
		x.Blockers = append(x.Blockers, b)
	}
	return x, nil
}

// explainOne explains a plan without a look at its rollback plan.
func (e *Engine) explainOne(ctx context.Context, id string) (Explanation, error) {
	x, ok, trouble := e.askOwner(ctx, id)
	if ok {
		return x, nil
	}
	row, err := e.store.listed(ctx, id)
	if err != nil {
		return Explanation{}, wrapError(err, "explain plan %s", id)
	}
	if row.unreadable != nil {
		b := Blocker{Reason: ReasonDamaged, Text: row.unreadable.Error()}
		if row.newer() {
			b = Blocker{Reason: ReasonSchema}
		}
		return Explanation{Plan: id, Status: row.Status, Blockers: []Blocker{b}}, nil
	}
	v := view{
		status: statusOf(&row.Control, &row.Progress), spec: &row.Spec, c: &row.Control, p: &row.Progress,
		now: e.now().UnixNano(), allProbed: true, calls: callsView{surroundings: surroundings{source: true}},
	}
	page, err := e.store.Batches(ctx, id, rowQuery{From: row.Progress.Batch, To: row.Progress.Batch + 1})
	if err != nil {
		return Explanation{}, wrapError(err, "explain plan %s", id)
	}
	if len(page.Items) > 0 {
		v.b = &page.Items[0]
		if v.blockedAgents, err = e.blockedElsewhere(ctx, id); err != nil {
			return Explanation{}, wrapError(err, "explain plan %s", id)
		}
		v.blockedAgents = slices.DeleteFunc(v.blockedAgents, func(b blockedAgent) bool {
			return !b.pending || b.ordinal < v.b.First || b.ordinal >= v.b.First+v.b.Size
		})
		v.blocked = len(v.blockedAgents)
	}
	named, err := e.storedAgents(ctx, &row)
	if err != nil {
		return Explanation{}, wrapError(err, "explain plan %s", id)
	}
	x = v.explanation(id, named)
	if v.status == StatusPending {
		c, err := e.claimsOf(ctx, &row)
		if err != nil {
			return Explanation{}, wrapError(err, "explain plan %s", id)
		}
		x.Blockers = append(x.Blockers, c.blocker()...)
	}
	if b, first := e.ownerProblem(ctx, &row, v.status, trouble); first {
		x.Blockers = append([]Blocker{b}, x.Blockers...)
	} else if len(x.Blockers) == 0 {
		x.Blockers = append(x.Blockers, Blocker{Reason: ReasonUnfinished, Text: lastWriter(&row)})
	}
	return x, nil
}

// ownerProblem returns the blocker of a plan whose driver of this process waits for the Store, or
// that no engine drives although one should.
func (e *Engine) ownerProblem(ctx context.Context, row *planRow, st Status, trouble string) (Blocker, bool) {
	if trouble != "" {
		return Blocker{Reason: ReasonStore, Text: trouble + "; the rest is the last stored state"}, true
	}
	return e.noEngine(ctx, row, st)
}

// explainTimeout limits how long Explain waits for the driver of a plan, which answers between two
// commits.
const explainTimeout = 500 * time.Millisecond

// askOwner asks the driver of this process. If there is one that cannot answer, trouble says why:
// it waits for the Store, or its last commit has failed.
func (e *Engine) askOwner(ctx context.Context, id string) (x Explanation, ok bool, trouble string) {
	const waits = "this engine waits for it"
	d := e.driver(id)
	if d == nil {
		return Explanation{}, false, ""
	}
	type answer struct {
		Explanation
		ok      bool
		trouble string
	}
	reply := make(chan answer, 1)
	inspect := func(x *session) {
		if x.st == nil {
			reply <- answer{trouble: cmp.Or(string(x.refusal), waits)}
			return
		}
		v := x.st.view(e.now().UnixNano())
		reply <- answer{Explanation: v.explanation(id, x.st.rows.named()), ok: true}
	}
	if !d.post(func(m *mail) { m.inspections = append(m.inspections, inspect) }) {
		return Explanation{}, false, ""
	}
	timeout := e.opt.Clock.Timer(explainTimeout)
	defer timeout.Stop()
	select {
	case a := <-reply:
		return a.Explanation, a.ok, a.trouble
	case <-timeout.C:
		return Explanation{}, false, waits
	case <-d.done:
	case <-ctx.Done():
	}
	return Explanation{}, false, ""
}

// noEngine returns the blocker of a plan that no live engine drives although one should.
func (e *Engine) noEngine(ctx context.Context, row *planRow, st Status) (Blocker, bool) {
	if !toBeDriven(st) {
		return Blocker{}, false
	}
	owner := row.Progress.Owner
	if owners, err := e.owners(ctx); err == nil && owner != "" && slices.Contains(owners, owner) {
		return Blocker{}, false
	}
	b := Blocker{Reason: ReasonNoEngine}
	if owner != "" {
		b.Text = lastWriter(row)
	}
	return b, true
}

// lastWriter names the engine that committed last, and when.
func lastWriter(row *planRow) string {
	return fmt.Sprintf("engine %s wrote last, at %s", row.Progress.Owner, row.Progress.At.Format(time.RFC3339))
}

// explanation explains the plan of the view, and names these agents. A blocker names a verb only if
// the plan accepts it now.
func (v *view) explanation(id string, named namedAgents) Explanation {
	x := Explanation{Plan: id, Status: v.status, Batch: min(v.p.Batch, v.p.Reached), Legal: legalNow(v.spec, v.c, v.p, v.b), Blockers: v.explain()}
	if v.c.Rollback != nil && !v.status.Ended() {
		x.back = v.c.Rollback.ID
	}
	nameStragglers(x.Blockers, slices.Concat(named.running, named.waiting))
	v.nameHung(x.Blockers, named.running)
	if b, ok := urgentBlocker(named.urgent); ok && !v.status.Ended() {
		x.Blockers = append(x.Blockers, b)
	}
	for i := range x.Blockers {
		if b := &x.Blockers[i]; !slices.Contains(x.Legal, b.Verb) {
			b.Verb, b.With = 0, ""
		}
	}
	return x
}

// explain lists everything that blocks the plan now. It asks the limits and barriers that decide
// asks.
func (v *view) explain() []Blocker {
	var out []Blocker
	add := func(why Reason, until int64, verb Verb, text string) {
		out = append(out, Blocker{Reason: why, Until: stamp(until), Verb: verb, Text: text})
	}
	switch v.status {
	case StatusPending:
		add(ReasonPending, 0, VerbStart, "")
		return out
	case StatusCanceled, StatusRolledBack, StatusCompleted:
		add(ReasonEnded, 0, 0, v.status.String())
		return out
	}
	if t := v.calls.refusal; t != "" {
		add(ReasonStore, 0, VerbCancel, string(t))
	}
	for r := range v.limiting {
		add(r.Why, r.Until, r.Verb, r.Text)
		out[len(out)-1].With = r.With
	}
	if v.b != nil {
		v.explainBatch(add)
	}
	if n := v.p.Counts.Running; n > 0 {
		add(ReasonInFlight, 0, 0, plural.Count(n, "agent"))
	}
	// Only the process that drives the plan knows more.
	if len(out) == 0 && v.b != nil && v.b.Status == BatchRunning {
		add(ReasonUnfinished, 0, 0, fmt.Sprintf("%s of batch %d %s pending", plural.Count(v.b.Counts.Pending, "agent"), v.b.Index, plural.Verb(v.b.Counts.Pending, "is", "are")))
	}
	return out
}

// explainBatch adds what blocks the current batch.
func (v *view) explainBatch(add func(Reason, int64, Verb, string)) {
	if v.b.Status == BatchRunning {
		if v.blocked > 0 {
			add(ReasonAbandonedCall, v.blockedUntil(), 0, fmt.Sprintf("%s of batch %d: %s", plural.Count(v.blocked, "agent"), v.b.Index, abandonedCallNames(v.blockedAgents)))
		}
		if n := v.prechecking - v.ready; n > 0 {
			add(ReasonInquiry, 0, 0, fmt.Sprintf("prechecking %s of batch %d", plural.Count(n, "agent"), v.b.Index))
		}
		if n := v.b.Counts.Waiting; n > 0 {
			add(ReasonBackoff, v.wake, 0, fmt.Sprintf("%s of batch %d %s for the next attempt", plural.Count(n, "agent"), v.b.Index, plural.Verb(n, "waits", "wait")))
		}
	}
	for b := range v.holding {
		text := b.Text
		if b.names != nil {
			text += ": " + b.names()
		}
		add(b.Why, b.Until, b.Verb, text)
	}
}

// blockedUntil is when the first blocked agent of a rollback fails; 0: none does.
func (v *view) blockedUntil() (at int64) {
	for i := range v.blockedAgents {
		at = earlier(at, v.blockedAgents[i].until(&v.c.Policy))
	}
	return at
}

// abandonedCallNames names the first agents that wait for an abandoned call to return.
func abandonedCallNames(agents []blockedAgent) string {
	return firstNames(func(yield func(string) bool) {
		for i := range agents {
			b := &agents[i]
			name := b.agent
			if b.engine != "" && !b.own {
				name += " (engine " + b.engine + ")"
			}
			if b.waits() && !yield(name) {
				return
			}
		}
	})
}

// Blocker is one reason why a plan does not go on.
type Blocker struct {
	Reason Reason    `json:"reason"`
	Text   string    `json:"text,omitempty"` // the numbers and names of this case
	Until  time.Time `json:"until,omitzero"` // when it clears by itself; zero: it does not
	Verb   Verb      `json:"verb,omitempty"` // the verb that clears it; zero: no verb does
	With   string    `json:"with,omitempty"` // the decision that it needs, and what else clears it
	Since  time.Time `json:"since,omitzero"` // since when it blocks; zero: that is not known
	// Plan is the rollback plan of the explained plan, if that plan is blocked, and accepts Verb.
	// Empty means the explained plan.
	Plan string `json:"plan,omitempty"`
}

// String returns one sentence.
func (b Blocker) String() string {
	s := b.Reason.Sentence()
	if b.Plan != "" {
		s = "Rollback plan " + b.Plan + ": " + s
	}
	if b.Text != "" {
		s += ": " + b.Text
	}
	if since := "since " + b.Since.Format(time.RFC3339); !b.Since.IsZero() && !strings.Contains(s, since) {
		s += "; " + since
	}
	if !b.Until.IsZero() {
		s += "; until " + b.Until.Format(time.RFC3339)
	}
	if b.Verb != 0 {
		s += "; cleared by " + b.Verb.String()
		if b.With != "" {
			s += " " + b.With
		}
	}
	return s
}

// undriven reports whether a plan that is to be driven is not driven by any engine that is alive.
func (e *Engine) undriven(row *planRow, owners []string) bool {
	if !toBeDriven(row.Status) || slices.Contains(owners, row.Progress.Owner) {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.drivers[row.ID] == nil
}

// tellUndriven tells which of the plans no engine drives although one should. Who is alive is read
// once for all of them.
func (e *Engine) tellUndriven(ctx context.Context, rows []planRow, plans []Plan) error {
	if !slices.ContainsFunc(rows, func(r planRow) bool { return toBeDriven(r.Status) }) {
		return nil
	}
	owners, err := e.owners(ctx)
	if err != nil {
		return err
	}
	for i := range rows {
		if r := &rows[i]; e.undriven(r, owners) {
			plans[i].Waiting = &Waiting{Reason: ReasonNoEngine, Since: r.Progress.At, Needs: NeedsEngine}
			if r.Progress.At.IsZero() {
				plans[i].Waiting.Since = plans[i].StartedAt
			}
		}
	}
	return nil
}

// toBeDriven reports whether a plan with this status needs an engine.
func toBeDriven(st Status) bool {
	return st != StatusPending && st != StatusPaused && !st.Ended()
}
