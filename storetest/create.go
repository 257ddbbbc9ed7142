package storetest

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/kit"
)

var createCases = cases{
	{"APlanIsReadBackAsItWasGiven", func(e *env) {
		p := e.sample("p", 7, 3)
		p.plan.Source, p.plan.Key = "from", "key"
		p.agents[2].State, p.agents[2].Status = some(33, 1), uint8(ota.TaskWaiting)
		p.first.Names = &ota.Names{Name: "name of first", Labels: map[string]string{"app": "p"}}
		e.create(p)
		got := e.everything("p")
		e.same("a plan is read back as it was given, at revision 1, with all numbers 1", got.Plan, p.row())
		e.same("batches are read back as they were given", got.Batches, p.first.Rows)
		e.same("agents are read back as they were given", got.Agents, p.agents)
		record := p.first.Log
		record.Plan, record.Revision = "p", 1
		e.same("what first returns as Log is record 1", got.Log, []ota.LogRow{record})
	}},
	{"AnUnknownPlanIsErrNotFound", func(e *env) {
		const rule = "a plan that is not there is ErrNotFound"
		e.made("other")
		e.absent(rule, "p")
		_, err := e.store.Commit(e.ctx, ota.Commit{Plan: "p", If: ota.Numbers{Control: 1}, Log: ota.LogRow{Data: []byte("x")}})
		e.is(rule, err, ota.ErrNotFound)
	}},
	{"ATakenIDIsErrExists", func(e *env) {
		e.made("p")
		before := e.everything("p")
		other := e.sample("p", 3, 1)
		e.is("Create of an ID that is taken is ErrExists", e.make(other, other.rows()), ota.ErrExists)
		e.same("a refused Create leaves the plan that was there", e.everything("p"), before)
	}},
	{"ATakenRequestKeyIsErrExists", func(e *env) {
		const rule = "Create with a request key that is taken is ErrExists"
		for i, id := range []string{"p", "q"} {
			p := e.sample(id, 2, 1)
			p.plan.Key = "key"
			err := e.make(p, p.rows())
			if i == 0 {
				e.ok(ruleCreate, err)
				continue
			}
			e.is(rule, err, ota.ErrExists)
			e.absent("a refused Create leaves nothing", id)
		}
		e.made("r") // without a key, as
		e.made("s") // many plans may be
	}},
	{"AnAgentTwiceIsADuplicateError", func(e *env) {
		const rule = "an agent that comes twice is a *DuplicateError that names it"
		p := e.sample("p", 3000, 1000)
		p.agents[2999].ID = p.agents[1].ID
		err := e.make(p, p.rows())
		var duplicate *ota.DuplicateError
		e.that(rule, errors.As(err, &duplicate), "got error %v", err)
		e.same(rule, duplicate.Agent, p.agents[1].ID)
		e.absent("a refused Create leaves nothing", "p")
	}},
	{"AnErrorOfTheAgentsIsReturnedAsItIs", func(e *env) {
		mine := errors.New("the inventory is down")
		p := e.sample("p", 3000, 1000)
		err := e.make(p, p.rowsThen(2500, func() error { return mine }))
		e.is("an error that the agents yield ends Create, and is returned", err, mine)
		e.absent("nothing stays of a Create whose agents failed", "p")
		e.create(p)
	}},
	{"AnErrorOfFirstIsReturnedAsItIs", func(e *env) {
		mine := errors.New("the sizes do not add up")
		p := e.sample("p", 10, 5)
		good := p.finish
		p.finish = func() (ota.Commit, error) { return ota.Commit{}, mine }
		err := e.make(p, p.rows())
		e.is("an error of first ends Create, and is returned", err, mine)
		e.absent("nothing stays of a Create whose first failed", "p")
		p.finish = good
		e.create(p)
	}},
	{"FirstIsCalledOnceAfterTheLastRow", func(e *env) {
		p := e.sample("p", 10, 5)
		read, calls, seen := 0, 0, 0
		p.finish = func() (ota.Commit, error) {
			calls, seen = calls+1, read
			return p.first, nil
		}
		e.ok(ruleCreate, e.make(p, func(yield func(ota.Row, error) bool) {
			for _, row := range p.agents {
				read++
				if !yield(row, nil) {
					return
				}
			}
		}))
		const rule = "first is called once, after the last row was read"
		e.that(rule, calls == 1 && seen == 10 && read == 10, "got %d calls after %d agents, %d were read", calls, seen, read)
	}},
	{"NothingIsVisibleBeforeTheEnd", func(e *env) {
		const rule = "nothing of a plan is visible before its Create is done"
		p := e.sample("p", 3000, 1000)
		look := &env{ctx: e.ctx, store: e.store}
		var seen error
		e.ok(ruleCreate, e.make(p, p.rowsThen(2500, func() error {
			seen = e.aside(func() error {
				return kit.Guard(func() { look.absent(rule, "p") })
			})
			return nil
		})))
		e.ok(rule, seen)
		e.same(ruleCreate, e.everything("p").Agents, p.agents)
	}},
	{"CommitsOfOtherPlansDoNotWait", func(e *env) {
		const rule = "a commit does not wait for the Create of another plan, however slow its agents come"
		e.made("busy")
		c := e.owner("busy")
		p := e.sample("p", 3000, 1000)
		var result error
		e.ok(ruleCreate, e.make(p, p.rowsThen(1500, func() error {
			result = e.aside(func() error {
				_, err := e.store.Commit(e.ctx, c)
				return err
			})
			return nil
		})))
		e.ok(rule, result)
	}},
	{"AnAbandonedCreateLeavesTheIDFree", func(e *env) {
		p := e.sample("p", 3000, 1000)
		p.plan.Key = "key"
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = e.make(p, p.rowsThen(2500, func() error {
				runtime.Goexit() // as near to the death of the process as a test can get
				return nil
			}))
		}()
		<-done
		e.absent("nothing is visible of a Create that was abandoned half way", "p")
		again := e.sample("p", 40, 20)
		again.plan.Key = "key"
		e.ok("a Create that was abandoned half way does not keep its ID from the next",
			e.make(again, again.rows()))
		e.same("nothing of an abandoned Create gets into the next one", e.everything("p").Agents, again.agents)
	}},
	{"OfManyCreatesOfOneIDExactlyOneWins", func(e *env) {
		const rule = "of many Creates of one ID exactly one wins, and the others are ErrExists"
		var wins, others atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			p := e.sample("p", 20+i, 10)
			p.first.Parts.Spec = []byte{byte(i)}
			wg.Go(func() {
				switch err := e.make(p, p.rows()); {
				case err == nil:
					wins.Add(1)
				case !errors.Is(err, ota.ErrExists):
					others.Add(1)
				}
			})
		}
		wg.Wait()
		e.that(rule, wins.Load() == 1 && others.Load() == 0, "got %d winners and %d other errors", wins.Load(), others.Load())
		got := e.everything("p")
		want := 20 + int(got.Plan.Parts.Spec[0])
		e.that("a plan has the rows of one Create", len(got.Agents) == want, "got %d agents, want %d", len(got.Agents), want)
	}},
	{"RowsComeInOrderWithoutAGap", func(e *env) {
		const rule = "a row whose number is not the next one of its kind is ErrRefused"
		for i, number := range []int{1, 4, -1} {
			p := e.sample("p", 3, 1)
			p.agents[2].Number = number
			e.is(rule, e.make(p, p.rows()), ota.ErrRefused)
			e.absent("a refused Create leaves nothing", "p")
			p = e.sample(fmt.Sprint("q", i), 3, 1)
			p.first.Rows[2].Number = number
			e.is(rule, e.make(p, p.rows()), ota.ErrRefused)
		}
	}},
	{"APlanWithoutARecordIsRefused", func(e *env) {
		p := e.sample("p", 3, 1)
		p.first.Log.Data = nil
		e.is("a Create whose first returns no log record is ErrRefused", e.make(p, p.rows()), ota.ErrRefused)
		e.absent("a refused Create leaves nothing", "p")
	}},
	{"KindsAreApart", func(e *env) {
		const rule = "each kind of rows has its own numbers and IDs, known or not"
		p := e.sample("p", 3, 1)
		other := []ota.Row{{Kind: 77, ID: p.agents[1].ID, State: some(9, 9)}, {Kind: 77, Number: 1, Status: 7}}
		p.agents = append(other[:1:1], p.agents...)
		p.first.Rows = append(p.first.Rows, other[1])
		e.create(p)
		e.same(rule, e.page("p", ota.RowQuery{Kind: 77}).Items, other)
		e.same(rule, e.agents("p", ota.RowQuery{}), p.agents[1:])
		c := e.owner("p")
		other[0].State, other[0].Status = some(5, 1), 1
		c.Rows = []ota.Row{{Kind: 77, State: other[0].State, Status: 1}}
		e.commit(c)
		e.same(rule, e.page("p", ota.RowQuery{Kind: 77, IDs: []string{p.agents[2].ID}}).Items, other[:1])
		e.same(rule, len(e.page("p", ota.RowQuery{Kind: 78}).Items), 0)
	}},
}

// aside runs f beside the caller, who holds something up meanwhile, and gives up when f waits for
// it.
func (e *env) aside(f func() error) error {
	result := make(chan error, 1)
	go func() { result <- f() }()
	select {
	case err := <-result:
		return err
	case <-time.After(e.patience):
		return errors.New("it waits")
	}
}
