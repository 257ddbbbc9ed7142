package ota

import (
	"cmp"
	"container/heap"
	"slices"
	"strconv"
)

// lookAhead is how many agents may stand in lines. A batch in which more of them follow one another, all of full lanes,
// is not looked through further: that bounds what is held in memory of it.
const lookAhead = 2 * pageSize

// lanes divide the agents that need a slot by their value of the budgeted label. One whose lane has no room stands in
// line, and holds up nobody of another lane. They are rebuilt from the rows, never stored.
type lanes struct {
	budget Budget // of the policy that they were made for
	of     map[string]*lane
	roomy  []*lane // lanes with somebody in line, that have room or had it: they are served in turns
	inLine int
}

// lane is what is known of one value.
type lane struct {
	open   int // agents that hold a slot, or are asked whether they may have one
	line   fifo
	served bool // it is one of the roomy
}

func newLanes(b Budget) lanes { return lanes{budget: b} }

func (ls *lanes) lane(r *cachedRow) *lane {
	value := r.Agent.Labels[ls.budget.Label]
	l := ls.of[value]
	if l != nil {
		return l
	}
	if ls.of == nil {
		ls.of = map[string]*lane{}
	}
	l = &lane{}
	ls.of[value] = l
	return l
}

// count follows an agent that takes a slot, or gives it back.
func (ls *lanes) count(r *cachedRow, by int) {
	if ls.budget.Label == "" {
		return
	}
	l := ls.lane(r)
	l.open += by
	ls.serve(l)
}

func (ls *lanes) serve(l *lane) {
	if !l.served && l.line.len() > 0 && l.open < ls.budget.Max {
		l.served = true
		ls.roomy = append(ls.roomy, l)
	}
}

// stand makes an agent stand in line, unless its lane has room for it.
func (ls *lanes) stand(r *cachedRow) bool {
	if ls.budget.Label == "" {
		return false
	}
	l := ls.lane(r)
	if l.open < ls.budget.Max && l.line.len() == 0 {
		return false
	}
	l.line.push(r.Ordinal)
	ls.inLine++
	ls.serve(l)
	return true
}

// first is the lane that is served next, or nil.
func (ls *lanes) first() *lane {
	for len(ls.roomy) > 0 {
		l := ls.roomy[0]
		if l.line.len() > 0 && l.open < ls.budget.Max {
			return l
		}
		l.served, ls.roomy = false, ls.roomy[1:]
	}
	return nil
}

// leave takes the first agent out of the line of the lane that is served, which goes to the end of the roomy ones.
func (ls *lanes) leave() {
	l := ls.roomy[0]
	l.line.pop()
	ls.inLine--
	l.served, ls.roomy = false, ls.roomy[1:]
	ls.serve(l)
}

// withdraw takes one agent out of its line.
func (ls *lanes) withdraw(ordinal int) {
	for _, l := range ls.of {
		if l.line.remove(ordinal) {
			ls.inLine--
		}
	}
}

// budgetLimit only says what holds everybody who needs a slot: who may have one, the lanes know.
func budgetLimit(v *view) allowance {
	if v.inLine == 0 || v.fresh+v.ready > 0 {
		return unlimited
	}
	r := slots(0, ReasonBudget)
	b := v.c.Policy.Budget
	r.Text = strconv.Itoa(v.inLine) + " agents wait for others with the same " + b.Label + ", of which " + strconv.Itoa(b.Max) + " may be open"
	return r
}

// passed are the agents of the current batch that are pending although the search for pending ones has gone past them.
type passed struct {
	in    map[int]struct{}
	order fifo // their ordinals, ascending, and some that are not in any more
}

func (p *passed) add(ordinal int) {
	if p.in == nil {
		p.in = map[int]struct{}{}
	}
	p.in[ordinal] = struct{}{}
	p.order.insert(ordinal)
}

func (p *passed) has(ordinal int) bool { _, ok := p.in[ordinal]; return ok }

func (p *passed) remove(ordinal int) { delete(p.in, ordinal) }

// lowest is the first of them, or most when they are none.
func (p *passed) lowest(most int) int {
	for p.order.len() > 0 {
		o := p.order.items[p.order.head]
		if p.has(o) {
			return min(o, most)
		}
		p.order.pop()
	}
	return most
}

// fifo is a queue of ordinals.
type fifo struct {
	items []int
	head  int
}

func (f *fifo) push(ordinal int) { f.items = append(f.items, ordinal) }

func (f *fifo) len() int { return len(f.items) - f.head }

func (f *fifo) pop() int {
	o := f.items[f.head]
	f.head++
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
	return o
}

// insert keeps a queue of ascending ordinals ascending. It nearly always goes to the end.
func (f *fifo) insert(ordinal int) {
	i, _ := slices.BinarySearch(f.items[f.head:], ordinal)
	f.items = slices.Insert(f.items, f.head+i, ordinal)
}

func (f *fifo) remove(ordinal int) bool {
	i := slices.Index(f.items[f.head:], ordinal)
	if i >= 0 {
		f.items = slices.Delete(f.items, f.head+i, f.head+i+1)
	}
	return i >= 0
}

// timer is a moment at which an agent is to be looked at again.
type timer struct {
	at      int64
	ordinal int
	health  bool // it is unhealthy; otherwise it waits for an attempt
}

type timers []timer

func (t timers) Len() int { return len(t) }

func (t timers) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(t[i].at, t[j].at), cmp.Compare(t[i].ordinal, t[j].ordinal)) < 0
}

func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i] }

func (t *timers) Push(x any) { *t = append(*t, x.(timer)) } //nolint:forcetypeassert // only timers are pushed

func (t *timers) Pop() any {
	old := *t
	x := old[len(old)-1]
	*t = old[:len(old)-1]
	return x
}

func (t *timers) push(x timer) { heap.Push(t, x) }

func (t *timers) pop() timer { return heap.Pop(t).(timer) } //nolint:forcetypeassert // only timers are pushed
