package otatest

import (
	"slices"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// Call is one call of Fleet.Execute.
type Call struct {
	Attempt ota.Attempt
	Start   time.Time
	End     time.Time // zero while the call is in flight
	Err     error     // the error that it returned, or the value of its panic
	// Effect reports whether this call changed the agent. Of all calls with one key at most one has
	// an effect.
	Effect bool
}

// Calls returns every call of Execute so far, in the order of their starts. Simulated calls are not
// included.
func (f *Fleet) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Effects returns how many calls have changed an agent.
func (f *Fleet) Effects(id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for i := range f.calls {
		if f.calls[i].Effect && f.calls[i].Attempt.Agent == id {
			n++
		}
	}
	return n
}

// called records a call and returns its number.
func (f *Fleet) called(a ota.Attempt) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, Call{Attempt: a, Start: time.Now()})
	return len(f.calls) - 1
}

func (f *Fleet) returned(n int, err error, effect bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := &f.calls[n]
	c.End, c.Err, c.Effect = time.Now(), err, effect
}
