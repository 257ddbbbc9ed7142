package queue

import (
	"cmp"
	"slices"
)

// Timer is a moment at which the caller looks at an item again.
type Timer struct {
	At   int64 // in the caller's unit
	Item int
	Kind uint8 // the caller's reason
}

func (t Timer) before(o Timer) bool {
	return cmp.Or(cmp.Compare(t.At, o.At), cmp.Compare(t.Item, o.Item)) < 0
}

// Timers is a heap of timers: the earliest is first, and of the same time the one of the lowest
// item. It does what container/heap does, in the same order. That package would allocate twice a
// timer: it passes each one as an interface.
type Timers struct{ heap []Timer }

// Len returns the number of timers.
func (ts *Timers) Len() int { return len(ts.heap) }

// First returns the earliest timer without removing it. It panics if there is none.
func (ts *Timers) First() Timer { return ts.heap[0] }

// Push adds a timer.
func (ts *Timers) Push(t Timer) {
	ts.heap = append(ts.heap, t)
	ts.up(len(ts.heap) - 1)
}

// Pop removes the earliest timer and returns it. It panics if there is none.
func (ts *Timers) Pop() Timer {
	h := ts.heap
	first, last := h[0], len(h)-1
	h[0] = h[last]
	ts.heap = h[:last]
	ts.down(0)
	return first
}

// DeleteFunc removes every timer for which del returns true.
func (ts *Timers) DeleteFunc(del func(Timer) bool) {
	ts.heap = slices.DeleteFunc(ts.heap, del)
	for i := len(ts.heap)/2 - 1; i >= 0; i-- {
		ts.down(i)
	}
}

// up moves the timer at i towards the root, until its parent is not later.
func (ts *Timers) up(i int) {
	h := ts.heap
	for i > 0 {
		parent := (i - 1) / 2
		if !h[i].before(h[parent]) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

// down moves the timer at i away from the root, until no child is earlier.
func (ts *Timers) down(i int) {
	h := ts.heap
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if right := child + 1; right < len(h) && h[right].before(h[child]) {
			child = right
		}
		if !h[child].before(h[i]) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
