package ota

import "strconv"

// Budget bounds how many agents with one value of a label are open at once, as Concurrency bounds all of them: at most
// two per rack, for example, whatever the order of the agents. The zero value bounds nothing.
type Budget struct {
	// Label is the agents' label whose values are told apart. Agents without it share the empty value. At most 255
	// bytes; empty means no budget.
	Label string `json:"label,omitempty"`
	// Max is how many agents with one value may be open. 1 to 1,000,000.
	Max int `json:"max,omitempty"`
}

func (b Budget) check(m *mistakes) {
	checkText(m, "budget.label", b.Label, maxText)
	switch {
	case b.Max < 0 || b.Max > maxConcurrency || b.Label != "" && b.Max == 0:
		m.add("budget.max", strconv.Itoa(b.Max), "is out of range", "1 to 1000000")
	case b.Label == "" && b.Max > 0:
		m.add("budget.label", "", "is missing", "the name of a label of the agents")
	}
}

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

func (ls *lanes) lane(r *resident) *lane {
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
func (ls *lanes) count(r *resident, by int) {
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
func (ls *lanes) stand(r *resident) bool {
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
func budgetLimit(v *view) room {
	if v.inLine == 0 || v.fresh+v.ready > 0 {
		return plenty
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
