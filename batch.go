package ota

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// Shape cuts a plan's agents into batches. The zero value cuts them, in the order given, into batches of
// DefaultBatchSize. Every agent is in exactly one batch.
type Shape struct {
	// Size is the number of agents in a batch; the last one takes what is left. 1 or more; 0 means DefaultBatchSize.
	// Not together with Batches.
	Size int
	// Batches lists every batch: agents are taken in order, and the sizes must add up to all of them.
	Batches []BatchShape
	// Shuffle, when not 0, is the seed of a shuffle of all agents, so that the same agents are not always the first to
	// meet a bad release. The same seed and agents give the same order. Not together with Batches. The agents are then
	// held in memory while the plan is made.
	Shuffle uint64
}

// BatchShape is one batch of an explicit list.
type BatchShape struct {
	Name string // for people; may be empty; at most 255 bytes
	Size int    // how many agents; 1 or more
}

func (s Shape) check(m *mistakes) {
	if s.Size < 0 || s.Size > maxAgents {
		m.add("shape.size", strconv.Itoa(s.Size), "is out of range", "1 or more; 0 means 10")
	}
	if len(s.Batches) == 0 {
		return
	}
	if s.Size != 0 {
		m.add("shape.size", strconv.Itoa(s.Size), "does not go with a list of batches", "one of the two")
	}
	if s.Shuffle != 0 {
		m.add("shape.shuffle", strconv.FormatUint(s.Shuffle, 10), "does not go with a list of batches", "one of the two")
	}
	for i, b := range s.Batches {
		field := fmt.Sprintf("shape.batches[%d]", i)
		checkText(m, field+".name", b.Name, maxText)
		if b.Size < 1 || b.Size > maxAgents {
			m.add(field+".size", strconv.Itoa(b.Size), "makes an empty or impossible batch", "1 or more")
		}
	}
}

// maxAgents keeps ordinals within an int32.
const maxAgents = 1 << 30

// cutter deals agents out to batches as they come.
type cutter struct {
	shape Shape
	size  int // of the batches of a plan without a list
	first []int
	used  int // agents in the last batch
	total int
}

func newCutter(s Shape) *cutter {
	size := s.Size
	if size == 0 {
		size = DefaultBatchSize
	}
	return &cutter{shape: s, size: size}
}

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

func (c *cutter) room() int {
	if len(c.shape.Batches) > 0 {
		return c.shape.Batches[len(c.first)-1].Size
	}
	return c.size
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

// Batch is a batch as it stands at one moment.
type Batch struct {
	Index       int         `json:"index"`
	Name        string      `json:"name,omitempty"`
	Size        int         `json:"size"` // how many agents it has
	Status      BatchStatus `json:"status"`
	Tolerated   int         `json:"tolerated"` // how many of its agents may fail before the threshold is exceeded
	Accepted    int         `json:"accepted"`  // how many failures an operator has accepted on top of that
	Counts      Counts      `json:"counts"`    // its agents by status
	Tasks       Counts      `json:"tasks"`     // its tasks by status
	StartedAt   time.Time   `json:"startedAt,omitzero"`
	SettledAt   time.Time   `json:"settledAt,omitzero"` // when its last agent ended, the last time that happened
	CompletedAt time.Time   `json:"completedAt,omitzero"`
}
