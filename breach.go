package ota

import (
	"fmt"
	"strconv"
	"time"
)

// Stamp says who did something, when and why.
type Audit struct {
	At     time.Time `json:"at"`
	Actor  string    `json:"actor,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// Breach is a verdict that struck. It is a record, not a condition: it stands until Resume answers it.
type Breach struct {
	Number    uint64    `json:"number"` // of all breaches of the plan, from 1
	Reason    Reason    `json:"reason"`
	Batch     int       `json:"batch"` // the batch it was judged in, -1 for the whole plan
	At        time.Time `json:"at"`
	Action    Action    `json:"action"`
	Failed    int       `json:"failed"`    // failed agents, when it struck
	Tolerated int       `json:"tolerated"` // how many were tolerated
	Size      int       `json:"size"`      // out of how many
	Text      string    `json:"text,omitempty"`
}

// String returns one sentence with the numbers, for example
// "Failure threshold exceeded: 2 of 10 failed in batch 3, tolerates 1".
func (b Breach) String() string {
	s := b.Reason.Sentence()
	if b.Size > 0 {
		where := ""
		if b.Batch >= 0 {
			where = " in batch " + strconv.Itoa(b.Batch)
		}
		s += fmt.Sprintf(": %d of %d failed%s, tolerates %d", b.Failed, b.Size, where, b.Tolerated)
	}
	if b.Text != "" {
		s += ": " + b.Text
	}
	return s
}
