package ota

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-19b57ce3/ota/internal/lazyctx"
)

// pool makes the calls of one plan. Its workers live as long as the plan is driven. Attempts reach
// them through one queue, and outcomes come back in one slice that the owner swaps. So a call costs
// a lock, instead of two channels and a goroutine. The core decides how many calls may be out, and
// commits that first. The limit of each group is the backstop.
type pool struct {
	exec      Executor
	clock     *callClock
	root      *lazyctx.Parent // of calls to be made; guarded by mu
	wakeOwner func()          // wakes the owner

	onAbandoned func(job)     // the owner abandoned a call
	onReturned  func(outcome) // an abandoned call has returned, in its worker's goroutine
	panicked    func(agent string, err error)
	observer    *observer                // is notified of calls; nil: none
	mayCall     func(now time.Time) bool // whether calls may be made: the lease is valid

	mu          sync.Mutex // guards root and the fields below
	work        sync.Cond  // a job was queued, or the pool closed
	queue       []job      // jobs from head on wait for a worker
	head        int
	idle        int       // workers that wait
	waking      int       // workers that were woken or made, but do not have the lock yet
	liveWorkers int       // workers, except those stuck in an abandoned call
	maxWorkers  int       // limit of liveWorkers
	workers     []*worker // all, including stuck ones
	unobserved  []Called  // of which the observer is notified next
	done        []outcome // not fetched by the owner yet
	ownerWoken  bool      // the owner was woken for done
	awaited     int       // calls that are out and not abandoned
	abandoned   int       // abandoned calls that have not returned
	returning   int       // of abandoned: those given up a moment ago
	// busy workers by the ordinal of their job; nil until an outcome is reported
	byRow map[int]*worker
	// a call was not made, or its answer is unusable; the owner clears it
	lost   bool
	closed bool // workers end when the queue is empty
	groups []*errgroup.Group
}

// worker is one goroutine of a pool. The pool's mu guards its fields. The worker reads job,
// contextEnded and late without it, since only the worker writes them.
type worker struct {
	index        int // in pool.workers
	job          job
	calls        *lazyctx.Parent // of its call
	busy         bool
	contextEnded bool // the context had ended before the call, so the call is not made
	abandoned    bool // its call was abandoned
	// When the outcome of its call was reported and its context ended, Unix nanoseconds; 0: not.
	endedAt int64
	began   time.Time // of its call; zero without an observer
	givenUp bool      // it was given up a moment ago, and may be about to return
	late    *outcome  // what the abandoned call answered in the end
}

// newPool makes a pool without workers. They are started when there are calls.
func newPool(x Executor, ck *callClock, calls context.Context, tell func(), ok func(time.Time) bool) *pool {
	p := &pool{exec: x, clock: ck, root: &lazyctx.Parent{Context: calls, Clock: ck}, wakeOwner: tell, mayCall: ok}
	p.work.L = &p.mu
	return p
}

// renew gives later calls another parent context, after the old one has ended.
func (p *pool) renew(calls context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.root = &lazyctx.Parent{Context: calls, Clock: p.clock}
}

// push queues calls for the workers. It never blocks. It keeps the slice, and returns another one
// to fill next.
//
// moreDrivers means that more plans are driven than there are CPUs. push then wakes a second
// worker. The first may be scheduled after the owners of all plans; the second runs next on this
// CPU, with warm caches. Measured: 20 % less time for a hundred plans, but 20 % more for one plan,
// whose workers would compete. Hence only then.
func (p *pool) push(jobs []job, concurrency int, moreDrivers bool) (spare []job) {
	// One allocation for all contexts. It is freed with the last of them.
	calls := make([]lazyctx.Context, len(jobs))
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
	if moreDrivers && p.waking > 0 && p.idle > 0 {
		p.wake()
	}
	p.wakeOne()
	return spare
}

// wakeOne wakes or starts one worker if a job waits and no worker is on its way. Each worker wakes
// the next one once it has the lock. So a worker whose call returns at once takes the next job
// itself, and only a slow call costs a wake-up. This keeps the number of workers near the number of
// calls in flight. Starting 64 workers would take an eighth of the time of a plan of a thousand
// agents.
func (p *pool) wakeOne() {
	switch {
	case p.head == len(p.queue) || p.waking > 0:
	case p.idle > 0:
		p.wake()
	case p.liveWorkers < p.maxWorkers:
		p.spawn()
	}
}

// wake wakes an idle worker.
func (p *pool) wake() {
	p.idle--
	p.waking++
	p.work.Signal()
}

// spawn starts a worker, in a further group when the last one is full.
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

// run is the loop of a worker.
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
			now, have = w.job.execute(p, &o, w.began)
		}
	}
}

// next returns the outcome of one call and takes the next job, under one lock. waited reports that
// the worker waited for the job. Without more, the worker ends.
func (p *pool) next(w *worker, o *outcome, have bool) (waited, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if waited = !w.busy; waited { // a new worker
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
	w.job, w.calls, w.busy, w.endedAt, w.began = p.queue[p.head], p.root, true, 0, p.observer.now()
	// Read under the lock: abandon checks only once, and must see every call that is made.
	w.contextEnded = p.root.Err() != nil
	p.awaited++
	w.job.call.Init(p.root, w.job.deadline)
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

// notifyOwner wakes the owner once for all outcomes that came in, when no worker is about to take
// another job. So calls that return at once fill a commit.
func (p *pool) notifyOwner() {
	if len(p.done) > 0 && !p.ownerWoken {
		p.ownerWoken = true
		p.wakeOwner()
	}
}

// callReturned takes the result of a worker's call. It reports whether the worker goes on; a worker
// with an abandoned call was replaced.
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
		if w.givenUp {
			w.givenUp = false
			p.returning--
		}
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

// workerDied handles an Executor that ended its goroutine by runtime.Goexit.
func (p *pool) workerDied(w *worker) {
	defer p.observeKept()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !w.busy {
		return
	}
	o := w.job.outcome(p.clock.Now())
	o.reason, o.text = ReasonPanic, "the executor ended its goroutine"
	p.observeLater(w, Called{Reason: ReasonPanic, Err: errGoexit})
	if p.callReturned(w, &o, true) {
		p.liveWorkers--
		p.remove(w)
	}
	p.notifyOwner()
	p.wakeOne()
}

// remove takes a worker out of the list.
func (p *pool) remove(w *worker) {
	last := len(p.workers) - 1
	p.workers[w.index] = p.workers[last]
	p.workers[w.index].index = w.index
	p.workers[last] = nil
	p.workers = p.workers[:last]
}

// endReported ends calls whose outcome was reported and committed, and removes those that were not
// made yet.
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
			w.job.call.End()
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

// fetch swaps the outcomes out, and uses spare for the next ones. lost reports that a call was
// lost. The owner must then compare its rows with calls.
func (p *pool) fetch(spare []outcome) (done []outcome, lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done = p.done
	p.done, p.ownerWoken = spare[:0], false
	return done, p.lost
}

// calls adds the calls that the owner has not got back: queued, out, or with an outcome that was
// not fetched. Only the pool knows them. Each leaves as an outcome, as lost, by endReported, or at
// the end of the driver.
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

// agents appends the agents whose calls are queued or out, and not abandoned.
func (p *pool) agents(all []string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := p.head; i < len(p.queue); i++ {
		all = append(all, p.queue[i].agent)
	}
	for _, w := range p.workers {
		if w.busy && !w.abandoned {
			all = append(all, w.job.agent)
		}
	}
	return all
}

// returned is how many outcomes wait to be fetched.
func (p *pool) returned() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.done)
}

// inFlight is how many calls the owner waits for: queued, out, given up a moment ago, or with an
// outcome that was not fetched.
func (p *pool) inFlight() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) - p.head + len(p.done) + p.awaited + p.returning
}

// close ends the workers once the queue is empty, and waits for them. If calls are abandoned, it
// does not wait, and returns how many.
func (p *pool) close() (abandoned int) {
	p.mu.Lock()
	p.closed = true
	abandoned = p.abandoned
	groups := p.groups
	p.waking, p.idle = p.waking+p.idle, 0
	p.work.Broadcast()
	p.mu.Unlock()
	if abandoned > 0 {
		return abandoned
	}
	for _, g := range groups {
		_ = g.Wait() // workers return nil: how a call ended is data
	}
	return 0
}
