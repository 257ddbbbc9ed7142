package ota

import (
	"fmt"
	"strconv"
	"time"
)

// Audit records who did something, when and why.
type Audit struct {
	At     time.Time `json:"at"`
	Actor  string    `json:"actor,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// Breach is a recorded rule violation, for example too many failures. It stays open until Resume
// resolves it, even if the cause goes away.
type Breach struct {
	Number    uint64    `json:"number"` // among all breaches of the plan, from 1
	Reason    Reason    `json:"reason"`
	Batch     int       `json:"batch"` // the batch with the violation, -1 for the whole plan
	At        time.Time `json:"at"`
	Action    Action    `json:"action"`
	Failed    int       `json:"failed"`    // failed agents at that time
	Tolerated int       `json:"tolerated"` // how many failures were tolerated
	Size      int       `json:"size"`      // out of how many agents
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
