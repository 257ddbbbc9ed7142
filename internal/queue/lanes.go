package queue

// Lanes divide items by a key, and each key has the same number of slots. An item whose lane has no
// free slot waits in the lane's line, and blocks no item of another lane. Make one with NewLanes.
type Lanes struct {
	slots  int // of each lane
	of     map[string]*lane
	roomy  []*lane // lanes with a line that have a free slot, or had one; they take turns
	inLine int
}

// lane is the state of one key.
type lane struct {
	taken  int // slots
	line   FIFO
	served bool // the lane is in roomy
}

// NewLanes returns lanes with so many slots each.
func NewLanes(slots int) Lanes { return Lanes{slots: slots} }

func (ls *Lanes) lane(key string) *lane {
	l := ls.of[key]
	if l != nil {
		return l
	}
	if ls.of == nil {
		ls.of = map[string]*lane{}
	}
	l = &lane{}
	ls.of[key] = l
	return l
}

// Count records that slots of a lane were taken, or returned if by is negative. More slots may be
// taken than a lane has: then it has no free one until enough are returned.
func (ls *Lanes) Count(key string, by int) {
	l := ls.lane(key)
	l.taken += by
	ls.serve(l)
}

// serve gives a lane its turns, if an item waits and a slot is free.
func (ls *Lanes) serve(l *lane) {
	if !l.served && l.line.Len() > 0 && l.taken < ls.slots {
		l.served = true
		ls.roomy = append(ls.roomy, l)
	}
}

// Wait puts an item into the line of its lane, and reports true. It does nothing and reports false
// if the item need not wait: its lane has a free slot and no line. Wait takes no slot.
func (ls *Lanes) Wait(key string, item int) bool {
	l := ls.lane(key)
	if l.taken < ls.slots && l.line.Len() == 0 {
		return false
	}
	l.line.Push(item)
	ls.inLine++
	ls.serve(l)
	return true
}

// Full reports whether a lane has no free slot.
func (ls *Lanes) Full(key string) bool {
	l := ls.of[key]
	return l != nil && l.taken >= ls.slots
}

// InLine returns the number of items in all lines.
func (ls *Lanes) InLine() int { return ls.inLine }

// Ready returns the number of lanes that have their turn. It is 0 only if no item in a line can get
// a slot.
func (ls *Lanes) Ready() int { return len(ls.roomy) }

// First returns the first item of the lane whose turn it is. ok is false if no item in a line can
// get a slot.
func (ls *Lanes) First() (item int, ok bool) {
	for len(ls.roomy) > 0 {
		l := ls.roomy[0]
		if l.line.Len() > 0 && l.taken < ls.slots {
			return l.line.Front(), true
		}
		l.served, ls.roomy = false, ls.roomy[1:]
	}
	return 0, false
}

// Pop removes the item that First returned. Its lane gets its next turn after all others.
func (ls *Lanes) Pop() {
	l := ls.roomy[0]
	l.line.Pop()
	ls.inLine--
	l.served, ls.roomy = false, ls.roomy[1:]
	ls.serve(l)
}

// Remove removes an item from its line, if it is in one. It costs a look at every line.
func (ls *Lanes) Remove(item int) {
	for _, l := range ls.of {
		if l.line.Remove(item) {
			ls.inLine--
		}
	}
}
