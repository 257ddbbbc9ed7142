package ota

import (
	"math"
	"math/rand/v2"
	"strconv"
)

// cutter deals agents out to batches as they come.
type cutter struct {
	shape  Shape
	agents int // how many there are; known beforehand for Percent only
	first  []int
	used   int // agents in the last batch
	total  int
}

func newCutter(s Shape) *cutter { return &cutter{shape: s} }

// next returns the batch of the next agent, or false when an explicit list has no room left.
func (c *cutter) next() (batch int, ok bool) {
	if len(c.first) == 0 || c.used == c.room() {
		if n := len(c.shape.Batches); n > 0 && len(c.first) == n {
			c.total++
			return 0, false
		}
		c.first = append(c.first, c.total)
		c.used = 0
	}
	c.used++
	c.total++
	return len(c.first) - 1, true
}

// room is how many agents fit the last batch.
func (c *cutter) room() int {
	s, k := &c.shape, len(c.first)-1
	if len(s.Batches) > 0 {
		return s.Batches[k].Size
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
		return max(1, int(math.Ceil(float64(c.agents)*s.Percent/100-1e-9)))
	case s.Size > 0:
		return s.Size
	default:
		return DefaultBatchSize
	}
}

// check adds what only the number of agents can tell.
func (c *cutter) check(m *mistakes) {
	if len(c.shape.Batches) == 0 {
		return
	}
	sum := 0
	for _, b := range c.shape.Batches {
		sum += b.Size
	}
	if sum != c.total {
		m.add("shape.batches", strconv.Itoa(sum), "is what the sizes add up to, but the plan has another number of agents",
			strconv.Itoa(c.total))
	}
}

// rows returns the batches that were cut.
func (c *cutter) rows() []BatchRow {
	rows := make([]BatchRow, len(c.first))
	for i, first := range c.first {
		end := c.total
		if i+1 < len(c.first) {
			end = c.first[i+1]
		}
		rows[i] = BatchRow{Index: i, First: first, Size: end - first, Cursor: first}
		rows[i].Counts.Pending = end - first
		rows[i].Tasks.Pending = end - first
		rows[i].Canary = i == 0 && c.shape.Canary > 0
		if len(c.shape.Batches) > 0 {
			rows[i].Name = c.shape.Batches[i].Name
		}
	}
	return rows
}

func shuffle(agents []Agent, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0x6f7461))
	r.Shuffle(len(agents), func(i, j int) { agents[i], agents[j] = agents[j], agents[i] })
}
