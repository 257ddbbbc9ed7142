package storetest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/memstore"
	"github.com/seed-19b57ce3/ota/storetest"
	"github.com/seed-19b57ce3/ota/storetest/internal/brokenstore"
)

func TestCheckPassesTheReference(t *testing.T) {
	err := storetest.Check(t.Context(), func() (ota.Store, error) { return memstore.New(), nil })
	if err != nil {
		t.Error(err)
	}
}

// TestRunWithEverything also runs the cases that need Options. A memstore.Store cannot be opened again, so
// a second handle is the store itself: it shows that the cases are right, not that memstore is
// durable.
func TestRunWithEverything(t *testing.T) {
	storetest.Run(t, func(*testing.T) ota.Store { return memstore.New() }, storetest.Options{
		TimePrecision: time.Microsecond,
		Reopen:        func(_ *testing.T, s ota.Store) ota.Store { return s },
	})
}

type wrapped struct{ ota.Store }

func (w wrapped) Unwrap() ota.Store { return w.Store }

func TestRunThroughAWrapper(t *testing.T) {
	storetest.Run(t, func(*testing.T) ota.Store { return memstore.New() }, storetest.Options{
		Reopen: func(_ *testing.T, s ota.Store) ota.Store { return s.(*memstore.Store) },
		Wrap:   func(s ota.Store) ota.Store { return &wrapped{wrapped{s}} },
	})
}

type hiding struct{ ota.Store }

func TestWrappersThatHideAreNamed(t *testing.T) {
	err := storetest.CheckWrapped(t.Context(), memstore.New(), func(s ota.Store) ota.Store { return hiding{s} })
	for _, want := range []string{"hides ota.Claimer, ota.Leaser", "lost are [Claimer Leaser Notifier Inbox Pruner]"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := storetest.CheckWrapped(t.Context(), memstore.New(), func(s ota.Store) ota.Store { return wrapped{s} }); err != nil {
		t.Error(err)
	}
}

// bare has no companions.
type bare struct{ ota.Store }

func (bare) Unwrap() ota.Store { return nil }

func TestRunSkipsWhatTheStoreDoesNotHave(t *testing.T) {
	storetest.Run(t, func(*testing.T) ota.Store { return bare{memstore.New()} }, storetest.Options{})
}

func TestCheckNamesTheBrokenRule(t *testing.T) {
	for _, v := range brokenstore.Variants {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			err := storetest.CheckBroken(t.Context(), func() (ota.Store, error) { return v.New(), nil })
			if err == nil {
				t.Fatal("the store passed")
			}
			if !strings.Contains(err.Error(), v.Rule) {
				t.Errorf("the store was rejected, but not for %q:\n%v", v.Rule, err)
			}
		})
	}
}

func TestCheckReportsWhatNewStoreReports(t *testing.T) {
	mine := errors.New("no database")
	if err := storetest.Check(t.Context(), func() (ota.Store, error) { return nil, mine }); !errors.Is(err, mine) {
		t.Errorf("got %v, want %v", err, mine)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := storetest.Check(ended, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}
