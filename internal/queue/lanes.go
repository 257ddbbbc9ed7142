package queue

import "slices"

// Lanes queue items that need a slot of every limit. A limit divides the items by a key, and each key
// has its own number of slots. An item waits while the slots of one of its keys are taken. It blocks
// no item that has other keys. Make one with NewLanes.
type Lanes struct {
	limits []func(key string) int // how many slots a key has
	slots  []map[string]*slots    // by limit, then by key
	lines  map[string]*line       // by all keys together
	roomy  []*line                // lines that may have room; they take turns
	inLine int                    // items in all lines
	buffer []byte                 // of lineOf
}

// slots are those of one key of one limit.
type slots struct {
	taken, most int
	parked      []*line // they wait until one of these slots is free
}

func (s *slots) full() bool { return s.taken >= s.most }

// line has the items with the same keys, in order. While it has an item, it is in roomy, or parked at
// a key without a free slot.
type line struct {
	keys   []string
	slots  []*slots // of each key
	items  FIFO
	queued bool // it is in roomy, or parked
}

// NewLanes returns lanes with these limits. Each returns how many slots a key has.
func NewLanes(limits ...func(key string) int) Lanes {
	ls := Lanes{limits: limits, slots: make([]map[string]*slots, len(limits))}
	for i := range ls.slots {
		ls.slots[i] = map[string]*slots{}
	}
	return ls
}

func (ls *Lanes) slotsOf(limit int, key string) *slots {
	s := ls.slots[limit][key]
	if s == nil {
		s = &slots{most: ls.limits[limit](key)}
		ls.slots[limit][key] = s
	}
	return s
}

// lineOf returns the line of items with these keys, which have no NUL.
func (ls *Lanes) lineOf(keys []string) *line {
	b := ls.buffer[:0]
	for i, key := range keys {
		if i > 0 {
			b = append(b, 0)
		}
		b = append(b, key...)
	}
	ls.buffer = b
	l := ls.lines[string(b)]
	if l != nil {
		return l
	}
	if ls.lines == nil {
		ls.lines = map[string]*line{}
	}
	l = &line{keys: slices.Clone(keys)}
	for i, key := range keys {
		l.slots = append(l.slots, ls.slotsOf(i, key))
	}
	ls.lines[string(b)] = l
	return l
}

// Count records that slots of a key were taken, or returned if by is negative. More slots may be
// taken than a key has: then it has no free one until enough are returned.
func (ls *Lanes) Count(limit int, key string, by int) {
	s := ls.slotsOf(limit, key)
	s.taken += by
	if s.full() {
		return
	}
	for _, l := range s.parked {
		l.queued = false
		ls.serve(l)
	}
	s.parked = s.parked[:0]
}

// serve gives a line its turns if an item waits. Without a free slot, the line parks.
func (ls *Lanes) serve(l *line) {
	if l.queued || l.items.Len() == 0 {
		return
	}
	l.queued = true
	for _, s := range l.slots {
		if s.full() {
			s.parked = append(s.parked, l)
			return
		}
	}
	ls.roomy = append(ls.roomy, l)
}

// room reports whether each slot of a line is free.
func (l *line) room() bool {
	return !slices.ContainsFunc(l.slots, (*slots).full)
}

// Wait puts an item into the line of its keys, and reports true. It does nothing and reports false if
// the item need not wait: each key has a free slot, and no item with the same keys waits. Wait takes
// no slot.
func (ls *Lanes) Wait(item int, keys ...string) bool {
	l := ls.lineOf(keys)
	if l.room() && l.items.Len() == 0 {
		return false
	}
	l.items.Push(item)
	ls.inLine++
	ls.serve(l)
	return true
}

// Full reports whether one of these keys has no free slot.
func (ls *Lanes) Full(keys ...string) bool {
	for i, key := range keys {
		if s := ls.slots[i][key]; s != nil && s.full() {
			return true
		}
	}
	return false
}

// Taken returns how many slots of a key are taken.
func (ls *Lanes) Taken(limit int, key string) int {
	if s := ls.slots[limit][key]; s != nil {
		return s.taken
	}
	return 0
}

// Over reports whether more slots of a key are taken than it has.
func (ls *Lanes) Over(limit int, key string) bool {
	s := ls.slots[limit][key]
	return s != nil && s.taken > s.most
}

// InLine returns the number of items in all lines.
func (ls *Lanes) InLine() int { return ls.inLine }

// Ready returns the number of lines that have their turn. It is 0 only if no item in a line can get a
// slot.
func (ls *Lanes) Ready() int { return len(ls.roomy) }

// First returns the first item of the line whose turn it is. ok is false if no item in a line can get
// a slot.
func (ls *Lanes) First() (item int, ok bool) {
	for len(ls.roomy) > 0 {
		l := ls.roomy[0]
		if l.items.Len() > 0 && l.room() {
			return l.items.Front(), true
		}
		ls.turn()
	}
	return 0, false
}

// Pop removes the item that First returned. Its line gets its next turn after all others.
func (ls *Lanes) Pop() {
	ls.roomy[0].items.Pop()
	ls.inLine--
	ls.turn()
}

// turn ends the turn of the first line.
func (ls *Lanes) turn() {
	l := ls.roomy[0]
	l.queued, ls.roomy = false, ls.roomy[1:]
	ls.serve(l)
}

// Remove removes an item from its line, if it is in one. It costs a look at every line.
func (ls *Lanes) Remove(item int) {
	for _, l := range ls.lines {
		if l.items.Remove(item) {
			ls.inLine--
		}
	}
}

// Lines yields the keys of each line with items, and the number of these, in no order.
func (ls *Lanes) Lines(yield func(keys []string, items int) bool) {
	for _, l := range ls.lines {
		if n := l.items.Len(); n > 0 && !yield(l.keys, n) {
			return
		}
	}
}
