package ota

import (
	"math"
	"math/rand/v2"
	"strconv"
)

// cutter cuts a stream of agents into batches.
type cutter struct {
	shape  Shape
	agents int   // the number of agents in all; known beforehand only with Percent
	first  []int // by batch: the ordinal of its first agent
	used   int   // agents in the last batch so far
	total  int   // agents so far
}

func newCutter(s Shape) *cutter { return &cutter{shape: s} }

// next returns the batch of the next agent. ok is false if an explicit list of batches is full.
func (c *cutter) next() (batch int, ok bool) {
	if len(c.first) == 0 || c.used == c.capacity() {
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

// capacity returns how many agents the last batch may have.
func (c *cutter) capacity() int {
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

// check adds a mistake if the listed sizes do not add up to the number of agents.
func (c *cutter) check(m *mistakes) {
	if len(c.shape.Batches) == 0 {
		return
	}
	sum := 0
	for _, b := range c.shape.Batches {
		sum += b.Size
	}
	if sum != c.total {
		m.add("shape.batches", strconv.Itoa(sum), "is the sum of the sizes, but not the number of agents", strconv.Itoa(c.total))
	}
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
