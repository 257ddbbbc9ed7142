package ota

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// represent orders agents so that each of the parts, one after the other, holds every value of the
// labels in proportion, and at least one agent of each value while there is room and one is left.
// The order depends on the seed and on the order of the agents. It takes O(n log n).
func represent(agents []Agent, parts []int, labels []string, seed uint64) {
	x := arranger{labels: make([]numbering, len(labels)), placed: make([]bool, len(agents))}
	for k, label := range labels {
		x.labels[k] = numberLabel(agents, label)
	}
	x.order = x.interleaved(rand.New(rand.NewPCG(seed, 0x6b696e64)))
	x.queueValues()
	out := make([]int, 0, len(agents))
	for _, size := range parts {
		out = x.fill(out, size)
	}
	out = x.fill(out, len(agents)-len(out)) // of a list that does not have all agents, which is refused
	before := slices.Clone(agents)
	for i, k := range out {
		agents[i] = before[k]
	}
}

// arranger is represent at work. Agents are numbers, in the order in which they came.
type arranger struct {
	labels []numbering
	order  []int // a list of which each prefix holds the values in proportion
	next   int   // agents of order before it are placed
	placed []bool
	values []labelValue
	line   []int // values in the order in which they get a place if there is not room for all
	part   int   // counts the parts
}

// numbering gives each value of a label, or each combination of values, a number.
type numbering struct {
	of    []int // by agent: the number of its value
	count []int // by value: its agents
}

// labelValue is one value of one label.
type labelValue struct {
	agents []int // as in order; those at the front may be placed
	part   int   // the last part that holds it
}

func numberLabel(agents []Agent, label string) numbering {
	numbers := map[string]int{}
	return numberBy(len(agents), func(i int) int {
		n, ok := numbers[agents[i].Labels[label]]
		if !ok {
			n = len(numbers)
			numbers[agents[i].Labels[label]] = n
		}
		return n
	})
}

func numberBy(n int, number func(int) int) numbering {
	x := numbering{of: make([]int, n)}
	for i := range n {
		if x.of[i] = number(i); x.of[i] == len(x.count) {
			x.count = append(x.count, 0)
		}
		x.count[x.of[i]]++
	}
	return x
}

// and numbers the combinations of two numberings.
func (x numbering) and(y numbering) numbering {
	numbers := map[[2]int]int{}
	return numberBy(len(x.of), func(i int) int {
		pair := [2]int{x.of[i], y.of[i]}
		n, ok := numbers[pair]
		if !ok {
			n = len(numbers)
			numbers[pair] = n
		}
		return n
	})
}

// interleaved spreads the agents of each value evenly over the list. It begins with the
// combinations of all labels, and merges them label by label.
func (x *arranger) interleaved(r *rand.Rand) []int {
	order := make([]int, len(x.placed))
	for i := range order {
		order[i] = i
	}
	groups := make([]numbering, len(x.labels)) // by how many labels, less one
	for k := range x.labels {
		if groups[k] = x.labels[k]; k > 0 {
			groups[k] = groups[k-1].and(x.labels[k])
		}
	}
	at := make([]float64, len(order)) // by agent: its place in its group, from 0 to 1
	for _, g := range slices.Backward(groups) {
		places := make([]float64, len(g.count))
		for i := range places {
			places[i] = r.Float64()
		}
		for _, i := range order {
			group := g.of[i]
			at[i] = places[group] / float64(g.count[group])
			places[group]++
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(at[a], at[b]) })
	}
	return order
}

// queueValues lists the agents of each value. Values of many agents come first in the line.
func (x *arranger) queueValues() {
	var count []int
	for k := range x.labels {
		l := &x.labels[k]
		for i := range l.of {
			l.of[i] += len(x.values)
		}
		count = append(count, l.count...)
		for _, n := range l.count {
			x.line = append(x.line, len(x.values))
			x.values = append(x.values, labelValue{agents: make([]int, 0, n)})
		}
	}
	for _, i := range x.order {
		for k := range x.labels {
			v := &x.values[x.labels[k].of[i]]
			v.agents = append(v.agents, i)
		}
	}
	slices.SortStableFunc(x.line, func(a, b int) int { return count[b] - count[a] })
}

// fill appends the agents of the next part: one of each value that is not there yet, then the next
// ones of the list.
func (x *arranger) fill(out []int, size int) []int {
	x.part++
	end := len(out) + size
	seen := 0
	var again []int
	for ; seen < len(x.line) && len(out) < end; seen++ {
		v := &x.values[x.line[seen]]
		for len(v.agents) > 0 && x.placed[v.agents[0]] {
			v.agents = v.agents[1:]
		}
		if len(v.agents) == 0 && v.part != x.part {
			continue // none is left, so it leaves the line
		}
		if v.part != x.part {
			out = x.place(out, v.agents[0])
		}
		again = append(again, x.line[seen])
	}
	x.line = append(x.line[seen:], again...)
	for len(out) < end {
		if i := x.order[x.next]; !x.placed[i] {
			out = x.place(out, i)
		}
		x.next++
	}
	return out
}

// place puts an agent into the part.
func (x *arranger) place(out []int, i int) []int {
	x.placed[i] = true
	for k := range x.labels {
		x.values[x.labels[k].of[i]].part = x.part
	}
	return append(out, i)
}
