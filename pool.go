package ota

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// pool makes the calls of one plan. Its workers live as long as the plan is driven; attempts reach them through one
// queue, and outcomes come back in one slice that the owner swaps: a lock a call, instead of two channels and a goroutine. How many
// calls may be out is decided and committed before an attempt gets here; the limit of each group is the backstop.
type pool struct {
	exec Executor
	tell func() // wakes the owner
	ok   func() bool

	mu      sync.Mutex
	work    sync.Cond
	queue   []*call
	head    int
	idle    int       // workers that wait
	size    int       // workers that are not stuck in an abandoned call
	workers []*worker // all of them
	done    []outcome // not fetched by the owner yet
	left    int       // abandoned calls that have not returned
	resync  bool      // a call was not made, or is not accounted for
	closed  bool
	groups  []*errgroup.Group
}

// worker is one goroutine of a pool.
type worker struct{ call *call }

func newPool(x Executor, tell func(), ok func() bool) *pool {
	p := &pool{exec: x, tell: tell, ok: ok}
	p.work.L = &p.mu
	return p
}

// push hands attempts to the workers; it never blocks.
func (p *pool) push(calls []*call, concurrency int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, calls...)
	waiting := len(p.queue) - p.head
	for range min(waiting, p.idle) {
		p.work.Signal()
	}
	for range waiting - p.idle {
		if p.size >= concurrency {
			return
		}
		p.spawn(concurrency)
	}
}

// spawn adds a worker, in a further group when the last one is full.
func (p *pool) spawn(concurrency int) {
	w := &worker{}
	run := func() error { p.run(w); return nil }
	p.size++
	p.workers = append(p.workers, w)
	if n := len(p.groups); n > 0 && p.groups[n-1].TryGo(run) {
		return
	}
	g := new(errgroup.Group)
	g.SetLimit(concurrency)
	p.groups = append(p.groups, g)
	g.Go(run)
}

func (p *pool) run(w *worker) {
	ended := false
	defer func() {
		if !ended {
			p.died(w)
		}
	}()
	var o outcome
	have := false
	for {
		c := p.next(w, o, have)
		if c == nil {
			ended = true
			return
		}
		have = false
		if p.ok() {
			o, have = c.execute(p.exec)
		}
	}
}

// next gives back the outcome of one call and takes the next, under one lock. Nil ends the worker.
func (p *pool) next(w *worker, o outcome, have bool) *call {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.call != nil && !p.back(w, o, have) {
		return nil
	}
	for p.head == len(p.queue) {
		if p.closed {
			p.size--
			p.remove(w)
			return nil
		}
		p.idle++
		p.work.Wait()
		p.idle--
	}
	c := p.queue[p.head]
	p.queue[p.head] = nil
	p.head++
	if p.head == len(p.queue) {
		p.queue, p.head = p.queue[:0], 0
	}
	w.call = c
	return c
}

// back takes in how a worker's call ended, and reports whether the worker goes on: one that was left behind has been replaced.
func (p *pool) back(w *worker, o outcome, have bool) bool {
	c := w.call
	w.call = nil
	switch {
	case c.left:
		p.left--
		o.ordinal, o.agent, o.task, o.number, o.left = c.begun.ordinal, c.attempt.Agent, c.begun.task, uint32(c.attempt.Number), true
		p.put(o)
		p.remove(w)
		return false
	case have:
		p.put(o)
	default:
		p.resync = true
		p.tell()
	}
	return true
}

// died takes in that an Executor ended its goroutine, by runtime.Goexit.
func (p *pool) died(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := w.call
	if c == nil {
		return
	}
	o := outcome{
		ordinal: c.begun.ordinal, agent: c.attempt.Agent, task: c.begun.task, number: uint32(c.attempt.Number),
		repeat: c.attempt.Repeat, at: c.clock.Now().UnixNano(), reason: ReasonPanic, text: "the executor ended its goroutine",
	}
	c.release()
	if p.back(w, o, true) {
		p.size--
		p.remove(w)
	}
	if p.head < len(p.queue) {
		p.spawn(1)
	}
}

func (p *pool) remove(w *worker) {
	p.workers = slices.DeleteFunc(p.workers, func(x *worker) bool { return x == w })
}

// put adds an outcome; the first one into an empty slice wakes the owner.
func (p *pool) put(o outcome) {
	p.done = append(p.done, o)
	if len(p.done) == 1 {
		p.tell()
	}
}

// fetch swaps the outcomes out. spare is used for the next ones.
func (p *pool) fetch(spare []outcome) (done []outcome, resync bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done, resync = p.done, p.resync
	p.done, p.resync = spare[:0], false
	return done, resync
}

// out is how many calls are to be waited for.
func (p *pool) out() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.queue) - p.head
	for _, w := range p.workers {
		if w.call != nil && !w.call.left {
			n++
		}
	}
	return n
}

// leftBehind is how many abandoned calls have not returned.
func (p *pool) leftBehind() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left
}

// abandon leaves behind the calls whose context ended more than after ago; ended is when all their contexts were ended
// at once, zero when they were not. It returns when to look again. Every call of a plan has the same limit, and a later
// one ends later: between two looks nothing needs to be done for a call.
func (p *pool) abandon(now, ended time.Time, after time.Duration, reason Reason) (again time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.workers {
		c := w.call
		if c == nil || c.left {
			continue
		}
		end, why := c.deadline, ReasonAbandoned
		if !ended.IsZero() && (end.IsZero() || ended.Before(end)) {
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
		c.left = true
		p.left++
		p.size--
		if why != ReasonNone {
			p.put(outcome{
				ordinal: c.begun.ordinal, agent: c.attempt.Agent, task: c.begun.task, number: uint32(c.attempt.Number),
				repeat: c.attempt.Repeat, at: now.UnixNano(), reason: why, leaves: true,
				text: "the call did not return after its context had ended",
			})
		}
	}
	return again
}

// close ends the workers once the queue is empty, waits for them, and returns how many calls were left behind.
func (p *pool) close() (left int) {
	p.mu.Lock()
	p.closed = true
	left = p.left
	groups := p.groups
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
