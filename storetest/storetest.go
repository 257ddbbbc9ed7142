// Package storetest checks that an implementation of ota.Store keeps the promises that the engine
// relies on. It needs the standard library only.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) ota.Store { return mystore.New(t.TempDir()) }, storetest.Options{})
//	}
//
// The optional companions of a Store, such as ota.Claimer, are found by ota.As. Their cases are
// skipped, with the reason in the test's output, when the store does not have them. A wrapper of a
// Store is tested as Options.Wrap: it must keep the companions of what it wraps.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/kit"
)

// Options describe the store under test. The zero value is right for a plain store.
type Options struct {
	// TimePrecision is the precision of a stored time. Every time in the cases is a multiple of it.
	// At most a microsecond; 0 means a nanosecond.
	TimePrecision time.Duration
	// Reopen returns a second handle on the data of s, as another process would open it, to prove
	// that what was committed is durable; s itself is not used afterwards. Nil skips those cases.
	Reopen func(t *testing.T, s ota.Store) ota.Store
	// Wrap puts the wrapper under test around a store of newStore, and around what Reopen returns.
	// Every case runs through the wrapper. Reopen gets the store without it. Nil means no wrapper.
	Wrap func(s ota.Store) ota.Store
}

func (o Options) wrap(s ota.Store) ota.Store {
	if o.Wrap == nil {
		return s
	}
	return o.Wrap(s)
}

// Run runs every case as a subtest of t. It calls newStore once for each case. newStore returns an
// empty store, and cleans up with t.Cleanup. Cases run in parallel.
func Run(t *testing.T, newStore func(t *testing.T) ota.Store, opts Options) {
	t.Helper()
	if opts.TimePrecision < 0 || opts.TimePrecision > time.Microsecond {
		t.Fatalf("storetest: TimePrecision is %v, want at most a microsecond: the engine orders events by time", opts.TimePrecision)
	}
	suite.Run(t, func(t *testing.T) *env {
		bare := newStore(t)
		e := &env{
			store: opts.wrap(bare), bare: bare, step: max(opts.TimePrecision, 1), patience: patience,
		}
		if opts.Reopen != nil {
			e.reopen = func() {
				e.bare = opts.Reopen(t, e.bare)
				e.store = opts.wrap(e.bare)
			}
		}
		return e
	})
}

// Check runs the cases one after the other without a *testing.T, for example in an operator's tool.
// It returns every failure, each with the name of its case, joined; or nil. It calls newStore once
// for each case, which returns an empty store, and closes nothing. Times are whole microseconds.
// Check does not test durability, because it does not reopen a store.
func Check(ctx context.Context, newStore func() (ota.Store, error)) error {
	return check(ctx, newStore, patience)
}

func check(ctx context.Context, newStore func() (ota.Store, error), patience time.Duration) error {
	return suite.Check(ctx, func() (*env, error) {
		s, err := newStore()
		return &env{store: s, bare: s, step: time.Microsecond, patience: patience}, err
	})
}

type cases = kit.Cases[*env]

var suite = kit.Suite[*env]{Limit: caseLimit, Parallel: true, Themes: []kit.Theme[*env]{
	{Name: "Create", Cases: createCases},
	{Name: "Commit", Cases: commitCases},
	{Name: "Values", Cases: valueCases},
	{Name: "Texts", Cases: textCases},
	{Name: "Ownership", Cases: ownershipCases},
	{Name: "Concurrency", Cases: concurrencyCases},
	{Name: "Log", Cases: logCases},
	{Name: "Paging", Cases: pagingCases},
	{Name: "Plans", Cases: plansCases},
	{Name: "Alias", Cases: aliasCases},
	{Name: "Context", Cases: contextCases},
	{Name: "Durability", Cases: durabilityCases},
	{Name: "Claims", Cases: claimCases},
	{Name: "KeptClaims", Cases: keepCases},
	{Name: "Release", Cases: releaseCases},
	{Name: "Leases", Cases: leaseCases},
	{Name: "Inbox", Cases: inboxCases},
	{Name: "Notify", Cases: notifyCases},
	{Name: "Prune", Cases: pruneCases},
	{Name: "Wrapper", Cases: wrapperCases},
}}

// Guards against a store that hangs, not measures of its speed: nothing may fail because the
// machine is slow.
const (
	// patience is how long something may take that should not have to wait at all.
	patience = time.Minute
	// caseLimit ends a case, if the store respects its context.
	caseLimit = 5 * time.Minute
)

// Bind implements kit.Env.
func (e *env) Bind(ctx context.Context) { e.ctx = ctx }
