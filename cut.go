package ota

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota/internal/plural"
)

// cutter cuts a stream of agents into batches.
type cutter struct {
	shape  Shape
	agents int     // the number of agents in all; known beforehand if the shape needs all
	first  []int   // by batch: the ordinal of its first agent
	room   int     // agents that the last batch may have
	used   int     // agents in the last batch so far
	total  int     // agents so far
	share  float64 // of a list: the shares so far, in percent
	shared int     // of a list: agents in batches with a share
}

func newCutter(s Shape) *cutter { return &cutter{shape: s} }

// next returns the batch of the next agent. ok is false if an explicit list of batches is full.
func (c *cutter) next() (batch int, ok bool) {
	if len(c.first) == 0 || c.used == c.room {
		if n := len(c.shape.Batches); n > 0 && len(c.first) == n {
			c.total++
			return 0, false
		}
		c.room, c.used = c.capacity(len(c.first)), 0
		c.first = append(c.first, c.total)
	}
	c.used++
	c.total++
	return len(c.first) - 1, true
}

// capacity returns how many agents batch k may have.
func (c *cutter) capacity(k int) int {
	s := &c.shape
	if len(s.Batches) > 0 {
		return c.listed(&s.Batches[k])
	}
	if s.Canary > 0 {
		if k == 0 {
			return s.Canary
		}
		k--
	}
	switch {
	case s.Growth.First > 0:
		return s.Growth.size(k)
	case s.Percent > 0:
		return shareOf(c.agents, s.Percent)
	case s.Size > 0:
		return s.Size
	default:
		return DefaultBatchSize
	}
}

// listed returns how many agents the next batch of a list may have.
func (c *cutter) listed(b *BatchShape) int {
	switch {
	case b.Size > 0:
		return b.Size
	case b.Percent > 0:
		c.share += b.Percent
		n := max(1, shareOf(c.agents, c.share)-c.shared)
		c.shared += n
		return n
	default:
		return c.agents - c.total
	}
}

// shareOf returns a share of n agents, rounded up.
func shareOf(n int, percent float64) int {
	return max(1, int(math.Ceil(float64(n)*percent/100-shareError)))
}

// check adds a mistake if a list of batches does not have all agents, or has more.
func (c *cutter) check(m *mistakes) {
	list := c.shape.Batches
	if len(list) == 0 {
		return
	}
	agents := plural.Count(c.total, "agent")
	if !c.shape.listsSizes() {
		switch n := len(c.first); {
		case n < len(list):
			m.add("shape.batches", strconv.Itoa(len(list)), fmt.Sprintf("are too many for %s: batch %d would be empty", agents, n), "batches of at least one agent each")
		case c.used < c.room:
			m.add("shape.batches", "", "have more than "+agents, "batches that add up to all agents, or a last one without size and percent")
		case c.first[n-1]+c.room < c.total:
			m.add("shape.batches", "", fmt.Sprintf("have %d of %s", c.first[n-1]+c.room, agents), "batches that add up to all agents, or a last one without size and percent")
		}
		return
	}
	sum := 0
	for _, b := range list {
		sum += b.Size
	}
	if sum != c.total {
		m.add("shape.batches", strconv.Itoa(sum), "is the sum of the sizes, but not the number of agents", strconv.Itoa(c.total))
	}
}

// sizes returns the sizes of the batches of n agents. A list may leave agents over.
func (s *Shape) sizes(n int) []int {
	c := newCutter(*s)
	c.agents = n
	for range n {
		if _, ok := c.next(); !ok {
			break
		}
	}
	sizes := make([]int, len(c.first))
	for i, first := range c.first {
		if i > 0 {
			sizes[i-1] = first - c.first[i-1]
		}
	}
	if len(sizes) > 0 {
		sizes[len(sizes)-1] = c.used
	}
	return sizes
}

// rows returns the batches.
func (c *cutter) rows() []batchRow {
	rows := make([]batchRow, len(c.first))
	for i, first := range c.first {
		end := c.total
		if i+1 < len(c.first) {
			end = c.first[i+1]
		}
		rows[i] = batchRow{Index: i, First: first, Size: end - first, Cursor: first}
		rows[i].Counts.Pending = end - first
		rows[i].Tasks.Pending = end - first
		rows[i].Canary = i == 0 && c.shape.Canary > 0
		if len(c.shape.Batches) > 0 {
			rows[i].Name = c.shape.Batches[i].Name
		}
	}
	return rows
}

// shuffle puts agents into an order that depends only on seed and on the number of agents.
func shuffle(agents []Agent, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0x6f7461))
	r.Shuffle(len(agents), func(i, j int) { agents[i], agents[j] = agents[j], agents[i] })
}

// arrange puts all agents of a plan to this version into the order of the shape: shuffled, the
// first before the last, and each batch representing the values of the labels. It returns warnings.
func (s *Shape) arrange(agents []Agent, version string) []string {
	seed := s.Shuffle
	if seed == 0 && len(s.Represent) > 0 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(version))
		seed = h.Sum64()
	}
	if seed != 0 {
		shuffle(agents, seed)
	}
	groups, warnings := s.groups(agents)
	if len(s.Represent) == 0 {
		return warnings
	}
	sizes := s.sizes(len(agents))
	batch, used, from := 0, 0, 0
	for _, n := range groups {
		var parts []int
		for rest := n; rest > 0 && batch < len(sizes); {
			part := min(rest, sizes[batch]-used)
			parts = append(parts, part)
			rest -= part
			if used += part; used == sizes[batch] {
				batch, used = batch+1, 0
			}
		}
		represent(agents[from:from+n], parts, s.Represent, seed)
		from += n
	}
	if len(sizes) > 0 {
		warnings = append(warnings, missingValues(agents, sizes[0], s.Represent)...)
	}
	return warnings
}

// groups sorts agents by First and Last. It returns the sizes of the groups in order, and a warning
// for each label that no agent has.
func (s *Shape) groups(agents []Agent) (sizes []int, warnings []string) {
	if len(s.First)+len(s.Last) == 0 {
		return []int{len(agents)}, nil
	}
	has := func(a *Agent, l Label) bool {
		value, ok := a.Labels[l.Name]
		return ok && value == l.Value
	}
	groups := make([][]Agent, len(s.First)+1+len(s.Last))
	for i := range agents {
		a, g := &agents[i], len(s.First)
		if k := slices.IndexFunc(s.First, func(l Label) bool { return has(a, l) }); k >= 0 {
			g = k
		}
		for k, l := range s.Last {
			if has(a, l) {
				g = len(s.First) + 1 + k
			}
		}
		groups[g] = append(groups[g], *a)
	}
	at := agents
	for g, group := range groups {
		at = at[copy(at, group):]
		sizes = append(sizes, len(group))
		if len(group) > 0 || g == len(s.First) {
			continue
		}
		name, l := "last", s.Last
		if g < len(s.First) {
			name, l = "first", s.First
		} else {
			g -= len(s.First) + 1
		}
		warnings = append(warnings, fmt.Sprintf("shape.%s %s=%s applies to no agent", name, l[g].Name, l[g].Value))
	}
	return sizes, warnings
}

// missingValues warns about values that agents have, and that no agent of the first n has.
func missingValues(agents []Agent, n int, labels []string) (warnings []string) {
	for _, label := range labels {
		count := map[string]int{}
		for i := range agents {
			if v := agents[i].Labels[label]; i < n {
				count[v] = -1 // it is there
			} else if count[v] >= 0 {
				count[v]++
			}
		}
		var missing []string
		for v, agents := range count {
			if agents > 0 {
				missing = append(missing, v)
			}
		}
		if len(missing) == 0 {
			continue
		}
		slices.SortFunc(missing, func(a, b string) int { return cmp.Or(count[b]-count[a], strings.Compare(a, b)) })
		names := firstNames(func(yield func(string) bool) {
			for _, v := range missing {
				if !yield(strconv.Quote(shorten(v)) + " (" + plural.Count(count[v], "agent") + ")") {
					return
				}
			}
		})
		warnings = append(warnings, fmt.Sprintf("batch 0 lacks %s: %s", plural.Count(len(missing), "value/of "+label), names))
	}
	return warnings
}
