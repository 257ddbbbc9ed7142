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
	// Name names this engine among those that share the Store; two that run at the same time must not share a name. An engine
	// that comes back under its old name, for example after a crash, takes its plans back at once. When the old one turns out
	// to be alive, it logs an error, and leaves them alone for at least twice the Lease. Empty means a random name.
	Name string
	// Resolver tells which tasks the agents of new plans have. Nil means one task for each agent whose Tasks the Spec does not
	// give.
	Resolver Resolver
	// SameVersion says whether two texts name the same version, for example "v1.3.0" and "1.3.0": an agent that reports
	// one where the other is the target is at its target. Nil means that only equal texts do; equal texts are never
	// asked about. It must be a pure function of its two arguments, the same in every engine on the Store, and quick: it is
	// called while the engine decides. A panic counts as false.
	SameVersion func(a, b string) bool
	// Logger receives what operators should see: of the plans that this engine drives breaches and pauses (warnings) and every
	// other change of status; of the Store and of the lease what fails; of a panic in user code its
	// stack. Nil means none.
	Logger *slog.Logger
	// Clock is the source of time. Nil means the real one.
	Clock clock.Clock
	// Lease is how long this engine counts as alive after it was last heard of, where the Store is a Leaser; it is renewed
	// three times as often. 100 ms or more; 0 means 5 s.
	Lease time.Duration
	// Poll is how often changes are looked for that the Store does not tell of. 0 means 1 s.
	Poll time.Duration
	// DrainTimeout is how long calls may go on after Run's context has ended, before theirs do. 0 means 20 s; negative
	// means not at all.
	DrainTimeout time.Duration
	// AbandonAfter is how long a call may go on after its context has ended, before it is left behind. 0 means 5 s.
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

// backoff doubles from least to most, and is shortened at random so that rivals part.
func backoff(try int, least, most time.Duration) time.Duration {
	d := min(least<<min(try, 20), most)
	return d/2 + rand.N(d/2+1)
}
