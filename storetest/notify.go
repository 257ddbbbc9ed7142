package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/seed-19b57ce3/ota"
)

const ruleNotify = "Changes tells of a plan that was created or committed to"

var notifyCases = cases{
	{"ChangesAreTold", func(e *env) {
		changes := e.changes(e.ctx)
		e.told(changes, "p", func() { e.made("p") })
		e.made("q")
		e.told(changes, "q", func() { e.commit(e.verb("q")) })
		e.told(changes, "p", func() { e.commit(e.owner("p")) })
	}},
	{"ASlowReaderSlowsNobody", func(e *env) {
		e.changes(e.ctx) // is never read
		e.made("p")
		e.ok("a reader that does not read slows no commit", e.aside(func() error {
			for range 300 {
				if _, err := e.store.Commit(e.ctx, e.verb("p")); err != nil {
					return err
				}
			}
			return nil
		}))
	}},
	{"TheChannelIsClosedWhenTheContextEnds", func(e *env) {
		const rule = "Changes closes its channel when its context ends"
		ctx, cancel := context.WithCancel(e.ctx)
		changes := e.changes(ctx)
		other := e.changes(e.ctx)
		e.made("p") // left unread
		cancel()
		end := time.After(e.patience)
		for open := true; open; {
			select {
			case _, open = <-changes:
			case <-end:
				e.that(rule, false, "it is still open after %v", e.patience)
			}
		}
		e.told(other, "q", func() { e.made("q") })
	}},
}

func (e *env) changes(ctx context.Context) <-chan string {
	n, ok := ota.As[ota.Notifier](e.store)
	if !ok {
		e.skip("the store is no ota.Notifier")
	}
	changes, err := n.Changes(ctx)
	e.ok("Changes answers", err)
	return changes
}

// told expects to hear of a plan after change. As a change may be lost, it goes on with commits
// until it hears.
func (e *env) told(changes <-chan string, plan string, change func()) {
	change()
	end := time.After(e.patience)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case id, open := <-changes:
			e.that(ruleNotify, open, "the channel is closed")
			if id == plan {
				return
			}
			_, err := e.store.Plan(e.ctx, id)
			e.that("Changes tells of plans that are there", !errors.Is(err, ota.ErrNotFound), "got %q", id)
		case <-again.C:
			e.commit(e.verb(plan))
		case <-end:
			e.that(ruleNotify, false, "got nothing of %s within %v", plan, e.patience)
		}
	}
}
