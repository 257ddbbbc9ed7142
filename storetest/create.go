package storetest

import (
	"errors"
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
		p.plan.Source, p.plan.RequestKey = "from", "key"
		p.agents[2].State = e.busy(1)
		e.create(p)
		got := e.everything("p")
		e.same("a plan is read back as it was given, at revision 1, numbers 1 and epoch 0", got.Plan, p.row())
		e.same("batches are read back as they were given", got.Batches, p.created.Batches)
		e.same("agents are read back as they were given", got.Agents, p.agents)
		e.same("what Finish returns as Log is record 1", got.Log, []ota.LogRow{{Revision: 1, Data: p.created.Log}})
	}},
	{"AnUnknownPlanIsErrNotFound", func(e *env) {
		const rule = "a plan that is not there is ErrNotFound"
		e.made("other")
		e.absent(rule, "p")
		_, err := e.store.Commit(e.ctx, ota.Commit{Plan: "p", Control: 1, Log: []byte("x")})
		e.is(rule, err, ota.ErrNotFound)
	}},
	{"ATakenIDIsErrExists", func(e *env) {
		e.made("p")
		before := e.everything("p")
		other := e.sample("p", 3, 1)
		e.is("Create of an ID that is taken is ErrExists", e.store.Create(e.ctx, other.plan, other.rows()), ota.ErrExists)
		e.same("a refused Create leaves the plan that was there", e.everything("p"), before)
	}},
	{"ATakenRequestKeyIsErrExists", func(e *env) {
		const rule = "Create with a request key that is taken is ErrExists"
		for i, id := range []string{"p", "q"} {
			p := e.sample(id, 2, 1)
			p.plan.RequestKey = "key"
			err := e.store.Create(e.ctx, p.plan, p.rows())
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
		p.agents[2999].Agent.ID = p.agents[1].Agent.ID
		err := e.store.Create(e.ctx, p.plan, p.rows())
		var duplicate *ota.DuplicateError
		e.that(rule, errors.As(err, &duplicate), "got error %v", err)
		e.same(rule, duplicate.Agent, p.agents[1].Agent.ID)
		e.absent("a refused Create leaves nothing", "p")
	}},
	{"AnErrorOfTheAgentsIsReturnedAsItIs", func(e *env) {
		mine := errors.New("the inventory is down")
		p := e.sample("p", 3000, 1000)
		err := e.store.Create(e.ctx, p.plan, p.rowsThen(2500, func() error { return mine }))
		e.is("an error that the agents yield ends Create, and is returned", err, mine)
		e.absent("nothing stays of a Create whose agents failed", "p")
		e.create(p)
	}},
	{"AnErrorOfFinishIsReturnedAsItIs", func(e *env) {
		mine := errors.New("the sizes do not add up")
		p := e.sample("p", 10, 5)
		good := p.plan.Finish
		p.plan.Finish = func() (ota.Created, error) { return ota.Created{}, mine }
		err := e.store.Create(e.ctx, p.plan, p.rows())
		e.is("an error of Finish ends Create, and is returned", err, mine)
		e.absent("nothing stays of a Create whose Finish failed", "p")
		p.plan.Finish = good
		e.create(p)
	}},
	{"FinishIsCalledOnceAfterTheLastAgent", func(e *env) {
		p := e.sample("p", 10, 5)
		read, calls, seen := 0, 0, 0
		p.plan.Finish = func() (ota.Created, error) {
			calls, seen = calls+1, read
			return p.created, nil
		}
		e.ok(ruleCreate, e.store.Create(e.ctx, p.plan, func(yield func(ota.AgentRow, error) bool) {
			for _, row := range p.agents {
				read++
				if !yield(row, nil) {
					return
				}
			}
		}))
		const rule = "Finish is called once, after the last agent was read"
		e.that(rule, calls == 1 && seen == 10 && read == 10, "got %d calls after %d agents, %d were read", calls, seen, read)
	}},
	{"NothingIsVisibleBeforeTheEnd", func(e *env) {
		const rule = "nothing of a plan is visible before its Create is done"
		p := e.sample("p", 3000, 1000)
		look := &env{ctx: e.ctx, store: e.store}
		var seen error
		e.ok(ruleCreate, e.store.Create(e.ctx, p.plan, p.rowsThen(2500, func() error {
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
		e.ok(ruleCreate, e.store.Create(e.ctx, p.plan, p.rowsThen(1500, func() error {
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
		p.plan.RequestKey = "key"
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = e.store.Create(e.ctx, p.plan, p.rowsThen(2500, func() error {
				runtime.Goexit() // as near to the death of the process as a test can get
				return nil
			}))
		}()
		<-done
		e.absent("nothing is visible of a Create that was abandoned half way", "p")
		again := e.sample("p", 40, 20)
		again.plan.RequestKey = "key"
		e.ok("a Create that was abandoned half way does not keep its ID from the next",
			e.store.Create(e.ctx, again.plan, again.rows()))
		e.same("nothing of an abandoned Create gets into the next one", e.everything("p").Agents, again.agents)
	}},
	{"OfManyCreatesOfOneIDExactlyOneWins", func(e *env) {
		const rule = "of many Creates of one ID exactly one wins, and the others are ErrExists"
		var wins, others atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			p := e.sample("p", 20+i, 10)
			wg.Go(func() {
				switch err := e.store.Create(e.ctx, p.plan, p.rows()); {
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
		e.that("a plan has the agents of one Create", len(got.Agents) == got.Plan.Spec.Agents, "got %d agents, want %d",
			len(got.Agents), got.Plan.Spec.Agents)
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
