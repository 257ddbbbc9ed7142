package ota

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
	"golang.org/x/sync/errgroup"
)

// pool makes the calls of one plan. Its workers live as long as the plan is driven; attempts reach them through one
// queue, and outcomes come back in one slice that the owner swaps: a lock a call, instead of two channels and a goroutine. How many
// calls may be out is decided and committed before an attempt gets here; the limit of each group is the backstop.
type pool struct {
	exec      Executor
	clock     clock.Clock
	root      *callRoot // of every call to be made
	wakeOwner func()    // wakes the owner

	onAbandoned func(job)     // a call was left behind
	onReturned  func(outcome) // a call that was left behind has returned
	panicked    func(agent string, err error)

	mayCall func(now time.Time) bool // whether calls may be made at all

	mu          sync.Mutex
	work        sync.Cond
	queue       []job
	head        int
	idle        int             // workers that wait
	waking      int             // workers that were woken or made, and do not have the lock yet
	liveWorkers int             // workers that are not stuck in an abandoned call
	maxWorkers  int             // workers that there may be
	workers     []*worker       // all of them
	done        []outcome       // not fetched by the owner yet
	ownerWoken  bool            // the owner was woken for them
	awaited     int             // calls that are waited for
	abandoned   int             // abandoned calls that have not returned
	byRow       map[int]*worker // the busy ones by the ordinal of their job; nil until an outcome is reported
	lost        bool            // a call was not made, or answered nothing, since the owner last asked
	closed      bool
	groups      []*errgroup.Group
}

// worker is one goroutine of a pool.
type worker struct {
	index        int // in workers
	job          job
	calls        *callRoot // of its call
	busy         bool
	contextEnded bool     // its call's context had ended before it was made
	abandoned    bool     // its call was left behind
	endedAt      int64    // when its call's outcome was known from elsewhere, and its context ended, Unix nanoseconds; 0: it was not
	late         *outcome // what that call answered in the end
}

func newPool(x Executor, ck clock.Clock, calls context.Context, tell func(), ok func(time.Time) bool) *pool {
	p := &pool{exec: x, clock: ck, root: &callRoot{calls, ck}, wakeOwner: tell, mayCall: ok}
	p.work.L = &p.mu
	return p
}

// renew gives calls to be made another parent context, after the old one has ended.
func (p *pool) renew(calls context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.root = &callRoot{calls, p.clock}
}

// push hands attempts to the workers, and keeps the slice; it returns another one to be filled next. It never blocks. crowded says
// that there are more plans than processors: a worker that was woken before may then be behind the owners of all of them, and
// another one is woken, which is next on this processor and finds what it needs in its cache. That saves a hundred plans a fifth
// of their time; a plan alone would lose as much, for its workers would be in each other's way.
func (p *pool) push(jobs []job, concurrency int, crowded bool) (spare []job) {
	calls := make([]callContext, len(jobs)) // one piece of memory, which goes with the last of them
	for i := range jobs {
		jobs[i].call = &calls[i]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.head == len(p.queue) {
		p.queue, spare, p.head, p.maxWorkers = jobs, p.queue[:0], 0, concurrency
	} else {
		p.queue, spare, p.maxWorkers = append(p.queue, jobs...), jobs[:0], max(p.maxWorkers, concurrency)
	}
	p.done = slices.Grow(p.done, len(jobs))
	if crowded && p.waking > 0 && p.idle > 0 {
		p.wake()
	}
	p.wakeOne()
	return spare
}

// rouse wakes one worker when there is a job for it, or makes one when none waits. The others are woken and made by one another,
// each once it has the lock: so a worker that is back at once finds its next job itself, and a call that takes its time costs one
// wake-up. There are hardly more workers than calls were ever out at once, which are few where calls return at once: to make 64
// for them is an eighth of the time of a plan of a thousand agents.
func (p *pool) wakeOne() {
	switch {
	case p.head == len(p.queue) || p.waking > 0:
	case p.idle > 0:
		p.wake()
	case p.liveWorkers < p.maxWorkers:
		p.spawn()
	}
}

// wake wakes a worker that waits.
func (p *pool) wake() {
	p.idle--
	p.waking++
	p.work.Signal()
}

// spawn adds a worker, in a further group when the last one is full.
func (p *pool) spawn() {
	w := &worker{index: len(p.workers)}
	run := func() error { p.run(w); return nil }
	p.liveWorkers++
	p.waking++
	p.workers = append(p.workers, w)
	if n := len(p.groups); n > 0 && p.groups[n-1].TryGo(run) {
		return
	}
	g := new(errgroup.Group)
	g.SetLimit(p.maxWorkers)
	p.groups = append(p.groups, g)
	g.Go(run)
}

func (p *pool) run(w *worker) {
	ended := false
	defer func() {
		if !ended {
			p.workerDied(w)
		}
		if w.late != nil {
			p.onReturned(*w.late)
		}
	}()
	var o outcome
	var now time.Time
	have := false
	for {
		waited, more := p.next(w, &o, have)
		if !more {
			ended = true
			return
		}
		if waited {
			now = p.clock.Now()
		}
		switch have = p.mayCall(now); {
		case have && w.contextEnded:
			have = w.job.unmade(&o, now)
		case have:
			now, have = w.job.execute(p, &o)
		}
	}
}

// next gives back the outcome of one call and takes the next job, under one lock. It reports whether it had to wait for it, and
// whether there is one: otherwise the worker ends.
func (p *pool) next(w *worker, o *outcome, have bool) (waited, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if waited = !w.busy; waited { // it is new
		p.waking--
	} else if !p.callReturned(w, o, have) {
		return waited, false
	}
	for p.head == len(p.queue) {
		if p.closed {
			p.liveWorkers--
			p.remove(w)
			return waited, false
		}
		p.notifyOwner()
		p.idle++
		p.work.Wait()
		p.waking--
		waited = true
	}
	w.job, w.calls, w.busy, w.endedAt = p.queue[p.head], p.root, true, 0
	w.contextEnded = p.root.Err() != nil // under the lock: so abandon sees every call that is made although it looks only once
	p.awaited++
	w.job.call.root, w.job.call.deadline = p.root, w.job.deadline
	if p.byRow != nil {
		p.byRow[w.job.ordinal] = w
	}
	p.head++
	p.wakeOne()
	if p.head == len(p.queue) || p.waking == 0 {
		p.notifyOwner()
	}
	return waited, true
}

// report wakes the owner for the outcomes that have come in: once for all of them, when no worker is about to take a
// further job. So calls that return at once fill a commit.
func (p *pool) notifyOwner() {
	if len(p.done) > 0 && !p.ownerWoken {
		p.ownerWoken = true
		p.wakeOwner()
	}
}

// back takes in how a worker's call ended, and reports whether the worker goes on: one that was left behind has been replaced.
func (p *pool) callReturned(w *worker, o *outcome, have bool) bool {
	w.busy = false
	if !w.abandoned {
		p.awaited--
	}
	if p.byRow[w.job.ordinal] == w {
		delete(p.byRow, w.job.ordinal)
	}
	switch {
	case w.abandoned:
		p.abandoned--
		late := *o // a copy, so that only this rare case allocates
		if !have {
			late = w.job.outcome(p.clock.Now())
		}
		late.returnedLate = true
		w.late = &late
		p.done = append(p.done, late)
		p.notifyOwner()
		p.remove(w)
		return false
	case have:
		p.done = append(p.done, *o)
	default:
		p.lost = true
		p.wakeOwner()
	}
	return true
}

// died takes in that an Executor ended its goroutine, by runtime.Goexit.
func (p *pool) workerDied(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !w.busy {
		return
	}
	o := w.job.outcome(p.clock.Now())
	o.reason, o.text = ReasonPanic, "the executor ended its goroutine"
	if p.callReturned(w, &o, true) {
		p.liveWorkers--
		p.remove(w)
	}
	p.notifyOwner()
	p.wakeOne()
}

func (p *pool) remove(w *worker) {
	last := len(p.workers) - 1
	p.workers[w.index] = p.workers[last]
	p.workers[w.index].index = w.index
	p.workers[last] = nil
	p.workers = p.workers[:last]
}

// settle ends calls whose outcome was reported and committed, and leaves out those that were not made yet.
func (p *pool) endReported(calls []callKey, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byRow == nil {
		p.byRow = make(map[int]*worker, len(p.workers))
		for _, w := range p.workers {
			if w.busy {
				p.byRow[w.job.ordinal] = w
			}
		}
	}
	for _, c := range calls {
		if w := p.byRow[c.ordinal]; w != nil && w.job.key() == c {
			w.job.call.end()
			w.endedAt = now.UnixNano()
			continue
		}
		for i := p.head; i < len(p.queue); i++ {
			if p.queue[i].key() == c {
				p.queue = slices.Delete(p.queue, i, i+1)
				break
			}
		}
	}
}

// fetch swaps the outcomes out. spare is used for the next ones. lost says that the owner has to look, by calls, which calls are
// not among those that are out.
func (p *pool) fetch(spare []outcome) (done []outcome, lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done = p.done
	p.done, p.ownerWoken = spare[:0], false
	return done, p.lost
}

// calls adds the calls that have not come back to the owner: those that wait for a worker, those that are out, and those whose
// outcome was not fetched. The pool is the one place that knows them. Each leaves it as an outcome, or by lost, or because settle
// or the end of the driver took it.
func (p *pool) calls(all map[callKey]bool) (lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := p.head; i < len(p.queue); i++ {
		all[p.queue[i].key()] = true
	}
	for _, w := range p.workers {
		if w.busy && !w.abandoned {
			all[w.job.key()] = true
		}
	}
	for i := range p.done {
		if o := &p.done[i]; !o.returnedLate {
			all[o.key()] = true
		}
	}
	lost, p.lost = p.lost, false
	return lost
}

// ready is how many outcomes wait to be fetched.
func (p *pool) returned() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.done)
}

// out is how many calls are to be waited for: those that were not made, that are out, or whose outcome was not fetched.
func (p *pool) inFlight() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) - p.head + len(p.done) + p.awaited
}

// abandon leaves behind the calls whose context ended more than after ago; ended is when all their contexts were ended
// at once, zero when they were not. It returns when to look again. Every call of a plan has the same limit, and a later
// one ends later: between two looks nothing needs to be done for a call.
func (p *pool) abandon(now, ended time.Time, after time.Duration, reason Reason) (again time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.workers {
		if !w.busy || w.abandoned {
			continue
		}
		end, why := stamp(earlier(w.job.deadline, w.endedAt)), ReasonAbandoned
		if w.calls.Err() != nil && (end.IsZero() || ended.Before(end)) {
			end, why = ended, reason
		}
		if end.IsZero() {
			continue
		}
		end = end.Add(after)
		if now.Before(end) {
			if again.IsZero() || end.Before(again) {
				again = end
			}
			continue
		}
		w.abandoned = true
		p.awaited--
		p.abandoned++
		p.onAbandoned(w.job)
		p.liveWorkers--
		if why == ReasonNone {
			p.lost = true
			continue
		}
		p.done = append(p.done, w.job.abandoned(now, why))
		p.notifyOwner()
	}
	p.wakeOne()
	return again
}

// close ends the workers once the queue is empty, waits for them, and returns how many calls were left behind.
func (p *pool) close() (left int) {
	p.mu.Lock()
	p.closed = true
	left = p.abandoned
	groups := p.groups
	p.waking, p.idle = p.waking+p.idle, 0
	p.work.Broadcast()
	p.mu.Unlock()
	if left > 0 {
		return left
	}
	for _, g := range groups {
		_ = g.Wait() // workers return nil: how a call ended is data
	}
	return 0
}
