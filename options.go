package ota

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/google/uuid"
)

// Options are the settings of an Engine. The zero value is right for one process.
type Options struct {
	// Name identifies this engine among those that share the Store. Two engines that run at the
	// same time must not share a name. An engine that comes back under its old name, for example
	// after a crash, takes its plans back at once. If the old engine is alive after all, it logs an
	// error, and leaves these plans alone for at least twice the Lease. At most 255 bytes; empty
	// means a random name.
	Name string
	// Resolver returns the tasks of agents of new plans. Nil means one task for each agent whose
	// Tasks the Spec does not set.
	Resolver Resolver
	// SameVersion reports whether two texts name the same version, for example "v1.3.0" and
	// "1.3.0". An agent that reports one is then at its target if the other is the target. Nil
	// means that only equal texts do; it is never called for equal texts. SameVersion must be a
	// pure function, the same in every engine on the Store, and fast: the engine calls it while it
	// decides. A panic counts as false.
	SameVersion func(a, b string) bool
	// Logger receives what operators should see. Of the plans that this engine drives, it receives
	// breaches and pauses as warnings, and every other change of status. It also receives failures
	// of the Store and of the lease, and the stack of a panic in user code. Nil means no log.
	Logger *slog.Logger
	// Clock is the source of time. Nil means the real clock.
	Clock clock.Clock
	// Lease is how long this engine counts as alive after its last renewal, if the Store is a
	// Leaser. It is renewed three times in that period. 100 ms or more; 0 means 5 s.
	Lease time.Duration
	// Poll is how often the engine looks for changes of which the Store sends no notice. 1 ms or
	// more; 0 means 1 s.
	Poll time.Duration
	// DrainTimeout is how long calls may continue after the context of Run or RunPlan has ended.
	// Then the contexts of the calls end too. 1 ms or more; 0 means 20 s; a negative value ends
	// them at once. The engine does not wait longer than AbandonAfter for a call whose context has
	// ended.
	DrainTimeout time.Duration
	// AbandonAfter is how long a call may continue after its context has ended, before it is
	// abandoned. 1 ms or more; 0 means 5 s.
	AbandonAfter time.Duration
}

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = "engine-" + uuid.NewString()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = clock.New()
	}
	for _, d := range []struct {
		value *time.Duration
		zero  time.Duration
	}{
		{&o.Lease, 5 * time.Second},
		{&o.Poll, time.Second},
		{&o.DrainTimeout, 20 * time.Second},
		{&o.AbandonAfter, 5 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	return o
}

func (o Options) check() error {
	var m mistakes
	checkText(&m, "name", o.Name, maxText)
	if !checkUnit(&m, "lease", o.Lease, leaseAllowed) && o.Lease != 0 && o.Lease < minLease {
		m.add("lease", o.Lease.String(), "is too short", leaseAllowed)
	}
	m.durations(
		durationRule{"poll", o.Poll, NoTimeout, "1ms or more; 0 means 1s"},
		durationRule{"drainTimeout", max(o.DrainTimeout, 0), NoTimeout, "1ms or more; 0 means 20s; negative means not at all"},
		durationRule{"abandonAfter", o.AbandonAfter, NoTimeout, "1ms or more; 0 means 5s"},
	)
	return m.result()
}

const (
	minLease     = 100 * time.Millisecond
	leaseAllowed = "100ms or more; 0 means 5s"
)

// backoff returns a time that doubles with each try, from least to most. Up to half of it is cut
// off at random, so that competing engines do not retry together.
func backoff(try int, least, most time.Duration) time.Duration {
	d := min(least<<min(try, 20), most)
	return d/2 + rand.N(d/2+1)
}
