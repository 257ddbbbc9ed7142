package ota

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/seed-19b57ce3/ota/internal/lazyctx"
)

// Why the contexts of calls end, besides their limit.
var (
	errInterrupted = errors.New("ota: the plan was canceled or rolled back, and its calls are interrupted")
	errShutdown    = errors.New("ota: the engine is shutting down")
	errFencedOff   = errors.New("ota: another engine owns the plan now")
)

// job is a call of the Executor to be made. It is small because it is copied on its way to a
// worker. The worker makes the attempt of it.
type job struct {
	template *Attempt // the other fields; agents without own versions or tasks share one template
	agent    string
	labels   map[string]string
	ordinal  int
	deadline int64 // Unix nanoseconds; 0: no limit
	number   uint32
	repeat   bool
	call     *lazyctx.Context // set by the pool
}

// attempt is what the Executor gets.
func (j *job) attempt() Attempt {
	a := *j.template
	a.Agent, a.Labels, a.Number, a.Repeat, a.Deadline = j.agent, j.labels, int(j.number), j.repeat, stamp(j.deadline)
	return a
}

func (j *job) key() callKey { return callKey{j.ordinal, j.template.Task, j.number} }

// outcome returns an outcome with the fields that the job knows.
func (j *job) outcome(at time.Time) outcome {
	return outcome{
		ordinal: j.ordinal, agent: j.agent, task: j.template.Task, number: j.number, repeat: j.repeat, at: at.UnixNano(),
	}
}

// abandoned is the outcome of a job whose call did not return in time after its context had ended.
func (j *job) abandoned(at time.Time, why Reason) outcome {
	o := j.outcome(at)
	o.reason, o.abandoned, o.text = why, true, "the call did not return after its context had ended"
	return o
}

// callClock makes the contexts of calls by the engine's clock.
type callClock struct{ clock.Clock }

// WithDeadline is part of lazyctx.Clock. The limit is one of the engine's clock. The context's
// timer runs by the system's clock, and for a mock also by the mock.
func (c *callClock) WithDeadline(parent context.Context, deadline time.Time) (context.Context, context.CancelFunc) {
	left := deadline.Sub(c.Now())
	ctx, cancel := context.WithDeadline(parent, time.Now().Add(left))
	mock, ok := c.Clock.(*clock.Mock)
	if !ok {
		return ctx, cancel
	}
	t := mock.AfterFunc(left, cancel)
	return ctx, func() { t.Stop(); cancel() }
}

// execute makes the call, sets its outcome, and returns when the call returned. ok is false if the
// outcome says nothing about the agent: the shutdown of the engine, or the loss of the plan, ended
// the call. began is for the observer.
func (j *job) execute(p *pool, o *outcome, began time.Time) (at time.Time, ok bool) {
	res, err := j.try(p.exec)
	j.call.Release()
	at = p.clock.Now()
	*o = j.outcome(at)
	var ended error
	if err != nil {
		ended = j.call.ParentCause()
	}
	ok = o.tell(res, err, ended, j.deadline)
	if o.reason == ReasonPanic && p.panicked != nil {
		p.panicked(j.agent, err)
	}
	p.observeCall(j, began, at, o.reason, err)
	return at, ok
}

// unmade sets the outcome of a call that is not made, because its context has ended before. ok is
// as in execute.
func (j *job) unmade(o *outcome, at time.Time) (ok bool) {
	why := j.call.ParentCause()
	*o = j.outcome(at)
	return o.tell(Result{}, why, why, 0)
}

// try calls the Executor. No other place recovers a panic of Execute.
func (j *job) try(x Executor) (res Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = newPanicError(p)
		}
	}()
	return x.Execute(j.call, j.attempt())
}

// tell sets the outcome to the answer of a call. ended is why the context of the call ended, if not
// by its timeout. tell reports false if the answer has no information about the agent.
func (o *outcome) tell(res Result, err, ended error, deadline int64) bool {
	if err == nil {
		o.reason, o.unchanged, o.version, o.text = ReasonSucceeded, res.Unchanged, cleanVersion(res.Version), cleanMessage(res.Message)
		return true
	}
	x := readError(err)
	o.reason, o.after, o.unchanged, o.text = x.reason, x.after, x.unchanged, x.text
	switch {
	case o.reason != ReasonError:
	case errors.Is(ended, errShutdown), errors.Is(ended, errFencedOff):
		return false
	case errors.Is(ended, errInterrupted):
		o.reason = ReasonInterrupted
	case deadline != 0 && o.at >= deadline:
		o.reason = ReasonTimeout
	}
	return true
}

// errNoAnswer answers a question that ended its goroutine, or did not return after its context had
// ended.
var errNoAnswer = errors.New("ota: the question was not answered")

// askKey names a question. While one is out, the same question is not asked again: its answer
// serves.
type askKey struct {
	kind       askKind
	ordinal    int
	task       int
	number     uint32
	batch      int
	finishedAt int64
	compare    bool
}

func (a *ask) key() askKey {
	return askKey{a.kind, a.ordinal, a.task, a.number, a.batch, nanos(a.finishedAt), a.compared != nil}
}

// ask asks one question, and sends the answer to the owner. There is exactly one answer, also after
// a panic or a timeout. asked has the questions whose answer the owner has not fetched; nothing
// else knows them. Code that ignores its context keeps at most maxUnreturned goroutines per
// question: from then on, the question counts as not answered until one of them returns.
func (d *driver) ask(a ask) {
	key := a.key()
	if d.asked[key] {
		return
	}
	if d.asked == nil {
		d.asked = map[askKey]bool{}
	}
	d.asked[key] = true
	d.asks.Add(1)
	parent := d.base
	if a.kind == askGate {
		parent = d.callsContext
	}
	ctx, cancel := context.WithTimeout(parent, askLimit)
	var once sync.Once
	reply := func(put func(*input)) {
		once.Do(func() {
			d.post(func(m *mail) { put(&m.input); m.answered = append(m.answered, key) })
			d.asks.Done()
		})
	}
	if !d.beginQuestion(key) {
		reply(d.answer(ctx, a, errNoAnswer))
		cancel()
		return
	}
	late := time.AfterFunc(askLimit+d.host.opt.AbandonAfter, func() { reply(d.answer(ctx, a, errNoAnswer)) })
	go func() {
		defer cancel()
		defer late.Stop()
		var put func(*input)
		defer func() {
			if put == nil { // runtime.Goexit
				put = d.answer(ctx, a, errNoAnswer)
			}
			d.endQuestion(key) // before the owner can ask again
			reply(put)
		}()
		put = d.answer(ctx, a, nil)
	}()
}

// maxUnreturned is how often the same question may be out. More than once, since the next one may
// be answered where the first one hangs.
const maxUnreturned = 3

// beginQuestion records that a goroutine of a question runs. It returns false if too many run.
func (d *driver) beginQuestion(key askKey) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unreturned[key] == maxUnreturned {
		return false
	}
	if d.unreturned == nil {
		d.unreturned = map[askKey]int{}
	}
	d.unreturned[key]++
	return true
}

func (d *driver) endQuestion(key askKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unreturned[key]--; d.unreturned[key] == 0 {
		delete(d.unreturned, key)
	}
}

// answer asks the Executor. With an error, that is the answer. It returns a function that adds the
// answer to the input.
func (d *driver) answer(ctx context.Context, a ask, err error) (put func(*input)) {
	switch a.kind {
	case askProbe:
		return d.answerProbe(ctx, a, err)
	case askInspect:
		return d.answerInspect(ctx, a, err)
	case askGate:
		return d.answerGate(ctx, a, err)
	default:
		return d.answerPrecheck(ctx, a, err)
	}
}

func (d *driver) answerProbe(ctx context.Context, a ask, err error) func(*input) {
	var health Health
	if err == nil {
		prober := d.host.with.Prober
		health, err = observe(d.host.observer, Called{Kind: CallHealth, Attempt: a.attempt}, func() (Health, error) { return prober.Health(ctx, a.attempt) })
	}
	if err != nil {
		d.host.logPanic(ctx, err, "plan", d.id, "agent", a.attempt.Agent)
		d.host.opt.Logger.WarnContext(ctx, "health could not be probed", "plan", d.id, "agent", a.attempt.Agent, "error", err)
	}
	reply := health.answer(a, d.host.now(), err)
	return func(in *input) { in.probes = append(in.probes, reply) }
}

// answer is an agent's health as input of the core. An error means that the health is unknown.
func (h Health) answer(a ask, at time.Time, err error) probeAnswer {
	return probeAnswer{
		ordinal: a.ordinal, number: a.number, at: at.UnixNano(), known: err == nil, healthy: h.Healthy, reason: cleanMessage(h.Reason),
		compare: a.compared != nil,
	}
}

func (d *driver) answerInspect(ctx context.Context, a ask, err error) func(*input) {
	var found Inspection
	if err == nil {
		inspector := d.host.with.Inspector
		found, err = observe(d.host.observer, Called{Kind: CallInspect, Attempt: a.attempt}, func() (Inspection, error) { return inspector.Inspect(ctx, a.attempt) })
	}
	if err != nil {
		d.host.logPanic(ctx, err, "plan", d.id, "agent", a.attempt.Agent)
		d.host.opt.Logger.WarnContext(ctx, "attempt could not be inspected", "plan", d.id, "agent", a.attempt.Agent, "error", err)
		found = Inspection{}
	}
	reply := inspectAnswer{ordinal: a.ordinal, task: a.attempt.Task, number: a.number}
	reply.outcome = found.outcome(a, d.host.now())
	return func(in *input) { in.inspects = append(in.inspects, reply) }
}

// outcome is what an inspection says about the attempt. It is nil when the attempt must be called
// again.
func (f Inspection) outcome(a ask, now time.Time) *outcome {
	o := &outcome{
		ordinal: a.ordinal, agent: a.attempt.Agent, task: a.attempt.Task, number: a.number, at: now.UnixNano(), repeat: true,
	}
	switch {
	case f.State == InspectDone:
		o.reason, o.version, o.text = ReasonSucceeded, cleanVersion(f.Result.Version), cleanMessage(f.Result.Message)
	case f.State == InspectFailed && f.Err != nil:
		x := readError(f.Err)
		o.reason, o.after, o.unchanged, o.text = x.reason, x.after, x.unchanged, x.text
	default:
		return nil
	}
	return o
}

// advanceRollback takes the next step between the two plans of a rollback, in the background, when
// it is due.
func (d *driver) advanceRollback(now time.Time) {
	st := d.session.st
	other := st.spec.Source
	if ref := st.c.Rollback; ref != nil {
		other = ref.ID
	}
	if other == "" && !undoing(&st.c, &st.p) || d.advancing || now.Before(d.advanceAt) {
		return
	}
	if d.counterpartChanged == nil && other != "" {
		d.counterpartChanged, d.stopWatching = d.host.hub.Watch(other)
	}
	d.advancing, d.advanceAt = true, now.Add(d.host.opt.Poll)
	d.asks.Go(func() {
		var link counterpart
		// Always posted, because a Resolver may end this goroutine.
		defer func() { d.post(func(m *mail) { m.counterpart = &link }) }()
		ctx, cancel := context.WithTimeout(d.base, advanceLimit)
		defer cancel()
		var err error
		if link, err = d.office.advanceRollback(ctx, d.id); err != nil && d.base.Err() == nil {
			link.refusal = onlyRefused(err)
			d.host.opt.Logger.Log(d.base, levelOf(err), "rollback cannot continue", "plan", d.id, "error", withoutPlan(err, d.id))
		}
	})
}

// answerGate asks the Gater.
func (d *driver) answerGate(ctx context.Context, a ask, err error) func(*input) {
	reply := gateAnswer{batch: a.batch, finishedAt: a.finishedAt}
	var verdict GateVerdict
	if err == nil {
		verdict, err = protect(func() (GateVerdict, error) { return d.host.gate(ctx, d.id, a.batch) })
	}
	if err != nil {
		d.host.logPanic(ctx, err, "plan", d.id, "batch", a.batch)
		reply.text = ": " + readError(err).text
	} else if verdict <= GateInconclusive {
		reply.verdict = verdict
	}
	return func(in *input) { in.gates = append(in.gates, reply) }
}

// gate asks the Gater about a batch, as it is in the Store.
func (e *host) gate(ctx context.Context, id string, batch int) (GateVerdict, error) {
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return GateNone, err
	}
	page, err := e.store.Batches(ctx, id, rowQuery{From: batch, To: batch + 1})
	if err != nil || len(page.Items) == 0 {
		return GateNone, err
	}
	b := batchOf(&page.Items[0], statusOf(&row.Control, &row.Progress), &row.Control)
	call := Called{Kind: CallGate, Attempt: Attempt{Plan: id}, Batch: batch}
	return observe(e.observer, call, func() (GateVerdict, error) { return e.with.Gater.Gate(ctx, planOf(&row), b) })
}

// answerPrecheck asks the Prechecker.
func (d *driver) answerPrecheck(ctx context.Context, a ask, err error) func(*input) {
	p, after := readPrecheck(d.host.opt.SameVersion, a.attempt, Precheck{}, err)
	if err == nil {
		p, after = d.host.precheck(ctx, d.host.with.Prechecker, a.attempt)
	}
	reply := p.answer(a, after, d.host.now())
	return func(in *input) { in.prechecks = append(in.prechecks, reply) }
}

// precheck asks the Prechecker about an attempt, and interprets its answer.
func (e *host) precheck(ctx context.Context, x Prechecker, a Attempt) (p Precheck, after time.Duration) {
	p, err := observe(e.observer, Called{Kind: CallPrecheck, Attempt: a}, func() (Precheck, error) { return x.Precheck(ctx, a) })
	e.logPanic(ctx, err, "plan", a.Plan, "agent", a.Agent)
	return readPrecheck(e.opt.SameVersion, a, p, err)
}
