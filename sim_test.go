package ota

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/benbjohnson/clock"
)

// The simulation owns every interleaving: one goroutine, a virtual clock, and a chooser that decides what happens next.
// With a seeded chooser the same seed gives the same log, byte for byte; with an enumerating one every order is tried.
// It drives session, the very type that the engine drives; only calling and waiting are its own.

// chooser picks one of n.
type chooser interface{ pick(n int) int }

type worldClock struct {
	clock.Clock
	t time.Time
}

func (c *worldClock) Now() time.Time { return c.t }

var errSimCrash = errors.New("sim: the process dies here")

// faultStore lets commits of owners fail in every way they can, and shows every commit that landed to the referee.
type faultStore struct {
	*testStore
	w *world
}

func (s *faultStore) Commit(ctx context.Context, c Commit) (uint64, error) {
	if c.If.Epoch == 0 {
		var rev uint64
		err := s.w.verbs.write(func() (err error) { rev, err = s.apply(ctx, c); return err })
		return rev, err
	}
	switch s.w.fault() {
	case 1:
		return 0, errSimCrash
	case 2:
		_, _ = s.apply(ctx, c)
		return 0, errSimCrash
	case 3:
		return 0, errors.New("sim: no answer, not landed")
	case 4:
		_, _ = s.apply(ctx, c)
		return 0, errors.New("sim: no answer, landed")
	case 5:
		s.w.verb(c.Plan) // somebody else is first
	}
	return s.apply(ctx, c)
}

func (s *faultStore) Create(ctx context.Context, p PlanRow, rows iter.Seq2[Row, error], first func() (Commit, error)) error {
	return s.w.verbs.write(func() error { return s.testStore.Create(ctx, p, rows, first) })
}

func (s *faultStore) Claim(ctx context.Context, plan, from string) (conflicts []Conflict, total int, err error) {
	err = s.w.verbs.write(func() error { conflicts, total, err = s.testStore.Claim(ctx, plan, from); return err })
	return conflicts, total, err
}

func (s *faultStore) apply(ctx context.Context, c Commit) (uint64, error) {
	before, err := s.rows().Plan(ctx, c.Plan)
	if err != nil {
		return 0, err
	}
	rev, err := s.testStore.Commit(ctx, c)
	if err == nil {
		s.w.referee.committed(&before, &c, rev)
	}
	return rev, err
}

// world is one schedule.
type world struct {
	choose  chooser
	ctx     context.Context
	clock   *worldClock
	store   *faultStore
	engine  *Engine
	referee *referee
	faults  int // how many more commits may fail
	verbs   speaker
	plan    string
	procs   []*process
	behave  map[string]int
	effects map[string]bool // agent IDs and components of the first plan that a call may have changed
	tended  map[string]tending
	tasks   map[string]int // how many components an agent has; 0: one task without a component
	spec    Spec
	every   bool // every choice is tried: few are offered
	probes  bool // also then the fleet answers about its health
	sky     *sky // nil: the network never goes down
	gated   bool // the fleet has a gate
	checked bool // the fleet has a precheck
	older   bool // an older version has stored a rollback plan that runs alone
	quiet   bool // no faults, no verbs: everything must come to an end
	crashes int
}

// process is one engine's life: its sessions, and the calls that are out.
type process struct {
	name  string
	plans map[string]*session
	wakes map[string]time.Time
	calls []worldCall
	asks  []worldAsk
	dead  bool
}

// tending is how two plans stood when all plans together were at so many revisions.
type tending struct {
	revisions uint64
	link      counterpart
}

type worldCall struct {
	plan string
	job  job
	left bool
}

type worldAsk struct {
	plan string
	ask  ask
}

// newWorld is a random plan and fleet.
func newWorld(ch chooser, agents, faults, verbs int) *world {
	behave := map[string]int{}
	spec := randomSpec(ch, agents, behave)
	tasks := randomTasks(&spec, behave)
	w := worldOf(ch, spec, faults)
	w.tasks = tasks
	w.behave, w.verbs.left, w.gated, w.checked = behave, verbs, ch.pick(4) == 0, ch.pick(3) == 0
	return w
}

// worldOf is a world with one plan.
func worldOf(ch chooser, spec Spec, faults int) *world {
	w := &world{choose: ch, ctx: context.Background(), clock: &worldClock{t: time.Unix(1_700_000_000, 0).UTC()}, faults: faults, spec: spec}
	w.behave, w.effects, w.tended = map[string]int{}, map[string]bool{}, map[string]tending{}
	w.store = &faultStore{testStore: newTestStore(), w: w}
	w.referee = newReferee(w)
	e, err := New(w.store, nil, Options{Name: "verbs", Clock: w.clock})
	w.must(err)
	w.engine = e
	p, err := e.Create(w.ctx, w.spec)
	w.must(err)
	w.plan = p.ID
	w.referee.created(p.ID)
	w.procs = []*process{w.newProcess()}
	return w
}

func (w *world) must(err error) {
	if err != nil {
		panic(fmt.Sprintf("sim: %v", err))
	}
}

func (w *world) newProcess() *process {
	w.crashes++
	return &process{name: fmt.Sprintf("p%d", w.crashes), plans: map[string]*session{}, wakes: map[string]time.Time{}}
}

func (w *world) fault() int {
	if w.quiet || w.faults == 0 {
		return 0
	}
	of, last := 24, 5
	if w.every { // verbs of others have their own turn
		of, last = 5, 4
	}
	k := w.choose.pick(of)
	if k < 1 || k > last {
		return 0
	}
	w.faults--
	return k
}

func randomSpec(ch chooser, agents int, behave map[string]int) Spec {
	n := 1 + ch.pick(agents)
	threshold := []float64{0, 0.1, 0.3, 0.5, 1}[ch.pick(5)]
	s := Spec{ID: "plan", Name: "sim", FromVersion: "1", ToVersion: "2", Shape: Shape{Size: 1 + ch.pick(5)}}
	s.Policy = Policy{
		Concurrency: 1 + ch.pick(4), FailureThreshold: &threshold, Scope: Scope(ch.pick(2)),
		OnBreach: []Action{ActionPause, ActionPause, ActionRollback, ActionContinue}[ch.pick(4)],
		Reserve:  ch.pick(4) == 0, AttemptTimeout: time.Hour, UnreachableTimeout: 10 * time.Minute,
		OnUnreachable: UnreachableAction(ch.pick(2)), Hold: Hold{All: ch.pick(5) == 0},
	}
	if s.Policy.OnBreach == ActionContinue {
		s.Policy.Reserve = false
	}
	expectations(&s.Policy, n)
	if ch.pick(2) == 0 {
		s.Policy.Retry = RetryPolicy{Max: 1 + ch.pick(2), Backoff: time.Second, MaxBackoff: time.Minute}
	}
	if ch.pick(2) == 0 {
		s.Policy.Soak = Soak{Duration: time.Minute, Stable: time.Duration(ch.pick(2)) * time.Minute, Grace: time.Duration(ch.pick(2)) * time.Second}
	}
	switch ch.pick(6) {
	case 0:
		s.Shape = Shape{Percent: float64(1 + ch.pick(60))}
	case 1:
		s.Shape = Shape{Growth: Growth{First: 1 + ch.pick(2), Factor: 1.5, Max: 4}}
	case 2:
		s.Shape.Canary = 1 + ch.pick(2)
	}
	if ch.pick(4) == 0 {
		s.Policy.MaxConsecutive = 1 + ch.pick(3)
	}
	if ch.pick(4) == 0 {
		s.Policy.Rate = Rate{Starts: 1 + ch.pick(30)}
	}
	if ch.pick(5) == 0 {
		s.Policy.PlanTimeout = time.Duration(1+ch.pick(20)) * time.Minute
	}
	if ch.pick(5) == 0 {
		s.Policy.BatchTimeout = time.Duration(1+ch.pick(10)) * time.Minute
	}
	s.Policy.Soak.Compare = Off // compare_sim_test.go has it on
	s.Policy.Gate = Gate{Interval: time.Duration(1+ch.pick(30)) * time.Second, MaxInconclusive: ch.pick(2), MaxErrors: ch.pick(2)}
	ids, kinds := make([]string, n), 0
	for i := range ids {
		ids[i] = fmt.Sprintf("a%02d", i)
		behave[ids[i]] = ch.pick(17)
		kinds = 17*kinds + behave[ids[i]]
	}
	s.Agents = simAgents(ids)
	if s.Policy.PlanTimeout == 0 && ch.pick(4) == 0 {
		s.Policy.Windows = simWindows(time.Duration(ch.pick(60))*time.Minute, time.Duration(ch.pick(3))*time.Minute)
	}
	s.Policy.Soak.ToEnd, s.Policy.Halve = ch.pick(3) == 0, ch.pick(4) == 0
	if s.Policy.Halve { // no choice of its own: the choices of a seed stay as they are
		s.Policy.Complete.Min = float64(n%4+1) / 4
		if s.Policy.Soak.ToEnd {
			s.Policy.Complete.Within = 5 * time.Minute
		}
	}
	s.Policy.Stragglers = simStragglers(kinds)
	switch ch.pick(4) {
	case 0:
		s.Policy.Budgets = simBudgets(1+ch.pick(2), kinds)
	case 1:
		s.Policy.Budgets = []Budget{{Label: "nobody has it", Max: 1 + ch.pick(3), Of: BudgetOf(kinds & 1)}}
	}
	stages(&s, n, kinds)
	return s
}

// simBudgets are one or two budgets, by the number n. They draw nothing, so that schedules with other budgets stay as they are.
func simBudgets(most, n int) []Budget {
	draw := rand.New(rand.NewPCG(uint64(n), 7))
	all := []Budget{{Label: "rack", Max: most, Of: BudgetOf(draw.IntN(4) / 3)}}
	if draw.IntN(3) == 0 {
		all[0].Each = map[string]int{"0": 1 + draw.IntN(3)}
	}
	if draw.IntN(3) == 0 {
		all = append(all, Budget{Label: "nobody has it", Max: 1 + draw.IntN(4), Of: BudgetOf(draw.IntN(2))})
	}
	if draw.IntN(3) == 0 {
		all[0].Values = 1 + draw.IntN(2)
		all[0].Max *= draw.IntN(2)
	}
	return all
}

// simWindows open for forty minutes of every hour: longer than settle jumps.
func simWindows(at, margin time.Duration) []Window {
	var all []Window
	for hour := range 24 {
		all = append(all, Window{Start: time.Duration(hour)*time.Hour + at, Length: simOpen, Margin: margin})
	}
	return all
}

const simOpen = 40 * time.Minute

// simAgents stand in three racks: one after the other, or in turn if their number is even.
func simAgents(ids []string) iter.Seq2[Agent, error] {
	var agents []Agent
	for i, id := range ids {
		rack := 3 * i / len(ids)
		if len(ids)%2 == 0 {
			rack = i % 3
		}
		agents = append(agents, Agent{ID: id, Labels: map[string]string{"rack": fmt.Sprint(rack)}})
	}
	return listed(agents)
}

// step lets one thing happen.
func (w *world) step() {
	w.sky.change()
	p := w.procs[w.choose.pick(len(w.procs))]
	switch k := w.choose.pick(10); {
	case k < 5 && len(p.calls) > 0:
		w.deliver(p)
	case k < 6 && len(p.asks) > 0:
		w.deliverAsk(p)
	case k == 6 && w.verbs.left > 0 && !w.quiet:
		w.verb(w.somePlan())
	case k == 7 && w.verbs.left > 0 && !w.quiet:
		if w.choose.pick(2) == 0 {
			w.reported(p)
		} else {
			w.report(p)
		}
	case k == 8:
		w.advance(p)
	case k == 9 && w.faults > 0 && !w.quiet && w.choose.pick(6) == 0:
		w.faults--
		w.newOwner(p)
	default:
		w.drive(p)
	}
}

// newOwner lets another process begin; the old one dies, or lives on and is fenced off.
func (w *world) newOwner(p *process) {
	if w.choose.pick(2) == 0 {
		w.crash(p)
		return
	}
	w.procs = append(w.procs, w.newProcess())
}

func (w *world) crash(p *process) {
	p.dead = true
	w.procs = slices.DeleteFunc(w.procs, func(x *process) bool { return x == p })
	if len(w.procs) == 0 {
		w.procs = append(w.procs, w.newProcess())
	}
}

func (w *world) somePlan() string {
	plans := w.plans()
	return plans[w.choose.pick(len(plans))]
}

// plans are the first plan and its rollback plans, oldest first. It looks into the store, for it is asked all the time.
func (w *world) plans() []string {
	out := make([]string, 0, 4)
	for _, p := range w.store.order {
		out = append(out, p.Plan.ID)
	}
	return out
}

// drive gives every plan that can move a turn.
func (w *world) drive(p *process) {
	for _, id := range w.plans() {
		if p.dead {
			return
		}
		row := w.row(id)
		st := statusOf(&row.Control, &row.Progress)
		if st == StatusPending && row.Control.OrderCount == row.Progress.LastOrder || st.Ended() && p.plans[id] == nil {
			continue
		}
		w.turn(p, id, input{})
	}
}

func (w *world) session(p *process, id string) *session {
	if p.plans[id] == nil {
		x := newSession(rowStore{store: w.store}, id, p.name, w.row(id).Epoch)
		x.abilities.prober = !w.every || w.probes
		x.abilities.gater, x.abilities.prechecker = w.gated, w.checked
		x.callsInFlight = func(calls map[callKey]bool) bool { return p.out(id, calls) }
		x.giveUpCalls = func(calls []callKey, _ time.Time) []callKey { return p.giveUp(id, calls) }
		x.readBlocked = func(context.Context, string) ([]blockedAgent, error) { return w.out(p, id), nil }
		p.plans[id] = x
	}
	return p.plans[id]
}

// out adds the calls of a plan that are out in this process, as a pool does.
func (p *process) out(id string, calls map[callKey]bool) (lost bool) {
	for i := range p.calls {
		if c := &p.calls[i]; c.plan == id && !c.left {
			calls[c.job.key()] = true
		}
	}
	return false
}

// giveUp abandons calls of a plan at once, as a pool does, and returns those that are out.
func (p *process) giveUp(id string, calls []callKey) (out []callKey) {
	for i := range p.calls {
		if c := &p.calls[i]; c.plan == id && slices.Contains(calls, c.job.key()) {
			c.left = true
			out = append(out, c.job.key())
		}
	}
	return out
}

// out is what the engines keep: the agents of a plan whose abandoned call is out, but for the process's own of this plan.
// A process also knows its calls for other plans, which it may have lost.
func (w *world) out(p *process, id string) (bars []blockedAgent) {
	for _, q := range w.procs {
		for _, c := range q.calls {
			if q == p && c.plan == id || q != p && !c.left {
				continue
			}
			page, err := w.store.rows().Agents(w.ctx, id, rowQuery{IDs: []string{c.job.agent}})
			w.must(err)
			if len(page.Items) > 0 {
				bars = append(bars, blockedAgent{ordinal: page.Items[0].Ordinal, agent: c.job.agent, engine: q.name, foreign: c.plan != id})
			}
		}
	}
	return bars
}

func (w *world) turn(p *process, id string, in input) {
	x := w.session(p, id)
	row := w.row(id)
	var around surroundings
	if row.Source != "" || row.Control.Rollback != nil || undoing(&row.Control, &row.Progress) {
		link := w.tend(id)
		around.source, around.untouched, around.bad = link.drained, link.untouched, link.bad
		if link.drained {
			w.must(x.readBlockedElsewhere(w.ctx))
		}
	}
	if len(x.blockedElsewhere) > 0 {
		w.must(x.readBlockedElsewhere(w.ctx))
	}
	if x.st != nil && (w.every || w.choose.pick(2) == 0 || w.quiet) && x.revision != row.Revision { // else nobody has said anything
		w.must(x.refresh(w.ctx))
	}
	for range 64 {
		wake, again, err := x.turn(w.ctx, w.clock.t, turnInput{input: in, surroundings: around})
		in = input{}
		switch {
		case errors.Is(err, errSimCrash):
			w.crash(p)
			return
		case errors.Is(err, ErrFenced), errors.Is(err, errAtRest):
			w.fenced(p, id)
			return
		case err != nil:
			if w.quiet {
				panic(fmt.Sprintf("sim: turn of %s: %v", id, err))
			}
			continue
		}
		p.wakes[id] = wake
		w.handOut(p, id, x)
		if !again {
			return
		}
	}
	panic("sim: a plan never comes to rest")
}

// tend does what is due between a plan and its rollback, unless nothing was committed since that was done last.
func (w *world) tend(id string) counterpart {
	at := w.revisions()
	if last, ok := w.tended[id]; ok && last.revisions == at {
		return last.link
	}
	link, err := w.engine.advanceRollback(w.ctx, id)
	if err != nil {
		panic(fmt.Sprintf("sim: tend %s: %v", id, err))
	}
	w.referee.created(w.plans()...)
	w.tended[id] = tending{at, link}
	return link
}

// fenced drops what a process that lost a plan had of it. Its calls may still go on; their outcomes count for nothing.
func (w *world) fenced(p *process, id string) {
	delete(p.plans, id)
	delete(p.wakes, id)
	p.calls = slices.DeleteFunc(p.calls, func(c worldCall) bool { return c.plan == id })
	p.asks = slices.DeleteFunc(p.asks, func(a worldAsk) bool { return a.plan == id })
	if len(w.procs) > 1 && len(p.plans) == 0 {
		w.crash(p)
	}
}

func (w *world) handOut(p *process, id string, x *session) {
	for _, over := range x.reportedCalls { // its outcome was reported: the call ends, and nobody listens to it
		p.calls = slices.DeleteFunc(p.calls, func(c worldCall) bool {
			return c.plan == id && !c.left && c.job.ordinal == over.ordinal && c.job.attempt().Task == over.task && c.job.attempt().Number == int(over.number)
		})
	}
	x.reportedCalls = x.reportedCalls[:0]
	for _, j := range x.starts {
		w.referee.called(p, id, j)
		p.calls = append(p.calls, worldCall{plan: id, job: j})
		if name := j.attempt().Component.Name; id == w.plan && w.behaviour(j.attempt().Agent, name) != 3 { // not unreachable
			w.effects[j.attempt().Agent+name] = true
		}
	}
	x.starts = x.starts[:0]
	for _, a := range x.asks {
		p.asks = append(p.asks, worldAsk{plan: id, ask: a})
	}
	x.asks = x.asks[:0]
	if x.st != nil && interrupting(&x.st.c) {
		w.interrupt(p, id)
	}
}

// interrupt ends the contexts of a plan's calls: they answer nothing definite.
func (w *world) interrupt(p *process, id string) {
	var in input
	p.calls = slices.DeleteFunc(p.calls, func(c worldCall) bool {
		if c.plan != id || c.left {
			return false
		}
		o := c.job.outcome(w.clock.t)
		o.tell(Result{}, errors.New("interrupted"), errInterrupted, 0)
		in.outcomes = append(in.outcomes, o)
		return true
	})
	if !in.empty() {
		w.turn(p, id, in)
	}
}

// deliver lets one call return, or be abandoned.
func (w *world) deliver(p *process) {
	i := 0
	if len(p.calls) > 1 {
		i = w.choose.pick(len(p.calls))
	}
	c := p.calls[i]
	o := c.job.outcome(w.clock.t)
	if c.left {
		o.returnedLate = true
		p.calls = slices.Delete(p.calls, i, i+1)
		w.turn(p, c.plan, input{outcomes: []outcome{o}})
		return
	}
	if a := c.job.attempt(); w.behaviour(a.Agent, a.Component.Name) == 8 && w.choose.pick(2) == 0 && !a.IsRollback {
		o.reason, o.abandoned = ReasonAbandoned, true
		p.calls[i].left = true
		w.turn(p, c.plan, input{outcomes: []outcome{o}})
		return
	}
	p.calls = slices.Delete(p.calls, i, i+1)
	res, err := w.answer(c.job.attempt())
	o.tell(res, err, nil, 0)
	in := input{outcomes: []outcome{o}}
	for len(p.calls) > 0 && !w.every && w.choose.pick(3) == 0 { // several at once
		j := w.choose.pick(len(p.calls))
		d := p.calls[j]
		if d.plan != c.plan || d.left {
			break
		}
		p.calls = slices.Delete(p.calls, j, j+1)
		o := d.job.outcome(w.clock.t)
		res, err := w.answer(d.job.attempt())
		o.tell(res, err, nil, 0)
		in.outcomes = append(in.outcomes, o)
	}
	w.turn(p, c.plan, in)
}

// answer is what the fleet says, by the agent's behaviour.
func (w *world) answer(a Attempt) (Result, error) {
	failed := errors.New("sim: it failed")
	if w.sky != nil && w.sky.down && !w.quiet {
		return Result{}, failed
	}
	b := w.behaviour(a.Agent, a.Component.Name)
	if a.IsRollback && b != 9 {
		return Result{Version: a.ToVersion}, nil
	}
	switch b {
	case 0:
		return Result{}, failed
	case 1:
		if a.Number == 1 {
			return Result{}, failed
		}
	case 2:
		return Result{}, Permanent(failed)
	case 3:
		return Result{}, Unreachable(failed)
	case 4:
		if a.Number <= 3 {
			return Result{}, Throttled(failed, 30*time.Second)
		}
	case 5:
		return Result{Version: "other"}, nil
	case 6:
		return Result{Unchanged: true}, nil
	case 7:
		return Result{}, Unchanged(Rejected(failed))
	case 9:
		return Result{}, &PanicError{Value: "sim"}
	}
	return Result{Version: a.ToVersion}, nil
}

func (w *world) deliverAsk(p *process) {
	i := 0
	if !w.every {
		i = w.choose.pick(len(p.asks))
	}
	a := p.asks[i]
	p.asks = slices.Delete(p.asks, i, i+1)
	if a.ask.kind == askGate {
		w.turn(p, a.plan, input{gates: []gateAnswer{{batch: a.ask.batch, finishedAt: a.ask.finishedAt, verdict: GateVerdict(w.choose.pick(4))}}})
		return
	}
	if a.ask.kind == askPrecheck {
		said := w.precheck(a.ask.attempt)
		reply := said.answer(a.ask, 0, w.clock.t)
		w.referee.prechecked(a.plan, a.ask.attempt.Agent, said)
		w.turn(p, a.plan, input{prechecks: []precheckAnswer{reply}})
		return
	}
	healthy := w.behave[a.ask.attempt.Agent] != 10 || a.ask.attempt.IsRollback
	var err error
	if w.behave[a.ask.attempt.Agent] == 16 && !a.ask.attempt.IsRollback || !w.quiet && !w.every && w.choose.pick(8) == 0 {
		err = errors.New("no answer")
	}
	healthy, err = w.health(a.ask, healthy, err)
	reply := Health{Healthy: healthy}.answer(a.ask, w.clock.t, err)
	if a.ask.compared != nil {
		w.referee.compared(a.plan, a.ask.attempt.Agent, healthy && err == nil)
		w.turn(p, a.plan, input{probes: []probeAnswer{reply}})
		return
	}
	w.referee.heard(a.plan, a.ask.attempt.Agent, healthy && err == nil)
	w.turn(p, a.plan, input{probes: []probeAnswer{reply}})
}

// precheck is what an agent says before it is started, by its behaviour.
func (w *world) precheck(a Attempt) Precheck {
	p := Precheck{Down: w.behave[a.Agent]%4 == 1}
	switch w.behave[a.Agent] {
	case 11:
		p.State = PrecheckAtTarget
	case 12:
		p.State, p.Reason = PrecheckBlocked, "sim"
	case 13:
		p.State = PrecheckUnreachable
	case 14:
		p.Version = simPrevious
	default:
		if w.choose.pick(8) == 0 {
			p.State = PrecheckUnreachable
		}
	}
	if a.IsRollback && p.State != PrecheckUnreachable {
		p = Precheck{}
	}
	p, _ = readPrecheck(nil, a, p, nil)
	return p
}

// simPrevious is the version that some agents report before they are upgraded.
const simPrevious = "0.9"

// reported tells a plan how an attempt ended, whether its call is out, was lost, or was never made.
func (w *world) reported(p *process) {
	w.verbs.left--
	id := w.somePlan()
	if p.plans[id] == nil {
		return
	}
	rows := w.referee.rows(id)
	r := &cachedRow{agentRow: &rows[w.choose.pick(len(rows))]}
	st := &state{id: id, c: planControl{}, spec: p.plans[id].spec(w)}
	a := st.attempt(r, 0)
	if a.Number == 0 {
		return
	}
	res, err := w.answer(a)
	report := ReportOf(a, res, err)
	w.turn(p, id, input{reports: []reported{report.input(w.clock.t)}})
}

// spec is that of the session's plan.
func (x *session) spec(w *world) planSpec {
	row, err := w.store.rows().Plan(w.ctx, x.plan)
	w.must(err)
	return row.Spec
}

// report tells a plan that some agent is unhealthy, now or a while ago.
func (w *world) report(p *process) {
	w.verbs.left--
	id := w.somePlan()
	if p.plans[id] == nil {
		return
	}
	at := w.clock.t.Add(-time.Duration(w.choose.pick(3)) * time.Minute)
	h := healthReport{agent: fmt.Sprintf("a%02d", w.choose.pick(len(w.behave)+1)), healthy: w.choose.pick(3) == 0, at: at.UnixNano()}
	for _, a := range w.referee.rows(id) {
		if a.Agent.ID == h.agent && h.healthy && a.State.task(a.State.tasks()-1).Ended <= h.at {
			w.referee.heard(id, h.agent, true)
		}
	}
	w.turn(p, id, input{health: []healthReport{h}})
}

// advance moves the clock: to the next moment that a plan waits for, or by some time.
func (w *world) advance(p *process) {
	var next time.Time
	for _, id := range w.plans() {
		if p.plans[id] != nil {
			next = soonest(next, p.wakes[id])
		}
	}
	if next.After(w.clock.t) {
		w.clock.t = next
	} else if w.quiet {
		w.clock.t = w.clock.t.Add(20 * time.Minute)
	} else {
		w.clock.t = w.clock.t.Add(time.Duration(1+w.choose.pick(60)) * time.Second)
	}
	w.drive(p)
}

// run plays a schedule: turbulence, then quiet until nothing moves.
func (w *world) run(steps int) {
	_, err := w.engine.Start(w.ctx, w.plan, Request{})
	w.must(err)
	for range steps {
		w.step()
	}
	w.settle()
	w.referee.atRest()
}

// settle lets everything come to an end: with the faults off and time moving, every plan ends or rests with a reason.
func (w *world) settle() {
	w.quiet = true
	for _, p := range slices.Clone(w.procs[1:]) {
		w.crash(p)
	}
	p := w.procs[0]
	changed := w.clock.t
	const idle = 10 * time.Minute // after so long without a commit the clock jumps over what is only polled
	for i := 0; w.clock.t.Sub(changed) < 2*time.Hour; i++ {
		if i > 3000 {
			panic("sim: not at rest after 3000 rounds\n" + w.Describe())
		}
		before := w.revisions()
		for len(p.calls) > 0 {
			w.deliver(p)
		}
		for n := 0; len(p.asks) > 0; n++ {
			if n > 10_000 {
				panic("sim: a question follows each answer, without time in between\n" + w.Describe())
			}
			w.deliverAsk(p)
		}
		w.drive(p)
		if len(p.calls)+len(p.asks) == 0 { // they take less time than a window is open
			w.advance(p)
		}
		if w.clock.t.Sub(changed) > idle {
			w.clock.t = w.clock.t.Add(20 * time.Minute)
		}
		if before != w.revisions() || len(p.calls) > 0 {
			changed = w.clock.t
		}
	}
}

// stored is what the store holds of a plan; it is only looked at.
func (w *world) stored(id string) *testView {
	if p := w.store.look(id); p != nil {
		return p
	}
	panic("sim: no plan " + id)
}

// row is a plan's row as the store holds it; it is only looked at.
func (w *world) row(id string) *planRow { return &w.stored(id).row }

// revisions counts the commits of all plans.
func (w *world) revisions() (n uint64) {
	for _, p := range w.store.order {
		n += p.Plan.Revision
	}
	return n
}

func (w *world) Describe() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "policy %+v\n", w.spec.Policy)
	for _, id := range w.plans() {
		p, err := w.engine.Plan(w.ctx, id)
		w.must(err)
		fmt.Fprintf(&b, "plan %s %s counts %+v batch %d of %d breaches %v\n", id, p.Status, p.Counts, p.Batch, p.Batches, p.Breaches)
		rows, err := w.store.rows().Log(w.ctx, id, 0, 10000)
		w.must(err)
		for _, row := range rows {
			rec, err := decodeRecord(id, row)
			w.must(err)
			for _, e := range rec.Events {
				fmt.Fprintf(&b, "  %d %s %s %s b%d %s/%d #%d %s %s\n", rec.Revision, rec.At.Format("15:04:05"), rec.Status, e.Kind, e.Batch, e.Agent, e.Task, e.Number, e.Reason, e.Text)
			}
		}
	}
	return b.String()
}

// log is every record of every plan, as stored.
func (w *world) log() []byte {
	var b bytes.Buffer
	for _, id := range w.plans() {
		rows, err := w.store.rows().Log(w.ctx, id, 0, 100000)
		w.must(err)
		for _, row := range rows {
			b.Write(row.Data)
		}
	}
	return b.Bytes()
}
