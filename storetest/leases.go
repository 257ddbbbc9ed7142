package storetest

import (
	"slices"
	"time"

	"github.com/seed-19b57ce3/ota"
)

var leaseCases = cases{
	{"AnEngineIsAliveUntilItsLeaseRunsOut", func(e *env) {
		l := e.leaser()
		e.owners(l, "nobody has renewed yet")
		e.renew(l, "one", time.Hour)
		e.renew(l, "two", 20*time.Millisecond)
		e.eventually(l, "a lease that ran out is not listed, and one that did not is", "one")
	}},
	{"ALeaseIsEndedByATTLOf0", func(e *env) {
		const rule = "a ttl of 0 ends the lease at once"
		l := e.leaser()
		e.renew(l, "one", time.Hour)
		e.renew(l, "two", time.Hour)
		e.owners(l, "Owners lists the engines that have a lease", "one", "two")
		e.renew(l, "one", 0)
		e.owners(l, rule, "two")
		e.renew(l, "never there", 0)
		e.owners(l, rule, "two")
		e.renew(l, "one", time.Hour)
		e.owners(l, "an engine may come back", "one", "two")
	}},
	{"ARenewalReplacesTheLease", func(e *env) {
		l := e.leaser()
		e.renew(l, "one", 20*time.Millisecond)
		e.renew(l, "one", time.Hour)
		e.renew(l, "two", time.Hour)
		e.renew(l, "two", 20*time.Millisecond)
		e.eventually(l, "the last renewal counts", "one")
	}},
}

func (e *env) leaser() ota.Leaser {
	l, ok := ota.As[ota.Leaser](e.store)
	if !ok {
		e.skip("the store is no ota.Leaser")
	}
	return l
}

func (e *env) renew(l ota.Leaser, engine string, ttl time.Duration) {
	e.ok("Renew answers", l.Renew(e.ctx, engine, ttl))
}

func (e *env) list(l ota.Leaser) []string {
	got, err := l.Owners(e.ctx)
	e.ok("Owners answers", err)
	slices.Sort(got)
	return got
}

func (e *env) owners(l ota.Leaser, rule string, want ...string) {
	got := e.list(l)
	e.that(rule, slices.Equal(got, want), "got %v, want %v", got, want)
}

// eventually waits, as leases are told by the store's clock, which nobody else can move.
func (e *env) eventually(l ota.Leaser, rule string, want ...string) {
	for end := time.Now().Add(e.patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if slices.Equal(e.list(l), want) {
			return
		}
	}
	e.owners(l, rule, want...)
}
