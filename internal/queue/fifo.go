// Package queue has queues of integers: a FIFO, a heap of timers, lanes that share slots, and a set
// that knows its lowest member. The integers name things that the caller keeps; here they are
// called items. No type here is safe for concurrent use. The zero value of each but Lanes is empty
// and ready to use.
package queue

import "slices"

// FIFO is a queue: first in, first out.
type FIFO struct {
	items []int
	head  int // items before it were popped
}

// Push adds an item at the end.
func (f *FIFO) Push(item int) { f.items = append(f.items, item) }

// Len returns the number of items.
func (f *FIFO) Len() int { return len(f.items) - f.head }

// Front returns the first item without removing it. It panics if the queue is empty.
func (f *FIFO) Front() int { return f.items[f.head] }

// Pop removes the first item and returns it. It panics if the queue is empty.
func (f *FIFO) Pop() int {
	o := f.items[f.head]
	f.head++
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
	return o
}

// Remove removes the first occurrence of an item, and reports whether there was one. It costs a
// look at every item.
func (f *FIFO) Remove(item int) bool {
	i := slices.Index(f.items[f.head:], item)
	if i >= 0 {
		f.items = slices.Delete(f.items, f.head+i, f.head+i+1)
	}
	return i >= 0
}

// insert adds an item to a queue of ascending items, at its place. The place is nearly always the
// end.
func (f *FIFO) insert(item int) {
	i, _ := slices.BinarySearch(f.items[f.head:], item)
	f.items = slices.Insert(f.items, f.head+i, item)
}
