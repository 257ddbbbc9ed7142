package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/seed-19b57ce3/ota"
)

const ruleEnded = "a method whose context has ended returns the context's error"

var contextCases = cases{
	{"AnEndedContextWritesNothing", func(e *env) {
		const rule = "a method whose context had ended before writes nothing"
		e.made("p")
		before := e.everything("p")
		c := e.changing(1)
		ended, cancel := context.WithCancel(e.ctx)
		cancel()
		_, err := e.store.Commit(ended, c)
		e.is(ruleEnded, err, context.Canceled)
		e.same(rule, e.everything("p"), before)
		q := e.sample("q", 10, 5)
		e.is(ruleEnded, e.store.Create(ended, q.plan, q.rows()), context.Canceled)
		e.absent(rule, "q")
	}},
	{"AnEndedContextReadsNothing", func(e *env) {
		e.made("p")
		ended, cancel := context.WithDeadline(e.ctx, time.Now().Add(-time.Second))
		defer cancel()
		_, err := e.store.Plan(ended, "p")
		e.is(ruleEnded, err, context.DeadlineExceeded)
		_, err = e.store.Plans(ended, ota.PlanQuery{})
		e.is(ruleEnded, err, context.DeadlineExceeded)
		_, err = e.store.Batches(ended, "p", ota.RowQuery{})
		e.is(ruleEnded, err, context.DeadlineExceeded)
		_, err = e.store.Agents(ended, "p", ota.RowQuery{})
		e.is(ruleEnded, err, context.DeadlineExceeded)
		_, err = e.store.Log(ended, "p", 0, 1)
		e.is(ruleEnded, err, context.DeadlineExceeded)
	}},
	{"ACreateThatIsCutOffIsNothingOrAll", func(e *env) {
		const rule = "a Create whose context ends half way makes nothing, or all"
		p := e.sample("p", 3000, 1000)
		ctx, cancel := context.WithCancel(e.ctx)
		err := e.store.Create(ctx, p.plan, p.rowsThen(1500, func() error {
			cancel()
			return nil
		}))
		if err != nil {
			e.is(ruleEnded, err, context.Canceled)
		}
		_, found := e.store.Plan(e.ctx, "p")
		if errors.Is(found, ota.ErrNotFound) {
			e.that(rule, err != nil, "got no error and no plan")
			e.absent(rule, "p")
			e.create(p)
		}
		e.same(rule, e.agents("p", ota.RowQuery{Limit: 5000}), p.agents)
	}},
	{"ACommitThatIsCutOffIsNothingOrAll", func(e *env) {
		const rule = "a commit whose context ends meanwhile is applied as a whole, or not at all"
		p := e.sample("p", 2000, 1000)
		e.create(p)
		for i := range 20 {
			before := e.plan("p")
			c := e.owner("p")
			c.NewProgress = &ota.Progress{Schema: ota.Schema, Inbox: uint64(i + 1)}
			for n := range p.agents {
				c.Agents = append(c.Agents, ota.AgentRow{Ordinal: n, State: ota.AgentState{Task: ota.TaskState{Number: uint32(i + 1)}}})
			}
			ctx, cancel := context.WithTimeout(e.ctx, time.Duration(i*i)*20*time.Microsecond)
			_, err := e.store.Commit(ctx, c)
			cancel()
			after, agents := e.settled("p", ota.RowQuery{Limit: 5000})
			landed := after.Revision == before.Revision+1
			e.that(rule, landed || err != nil, "got no error at revision %d", after.Revision)
			e.that(rule, landed == (after.ProgressNumber == before.ProgressNumber+1), "got revision %d, Progress number %d after %d and %d",
				after.Revision, after.ProgressNumber, before.Revision, before.ProgressNumber)
			for _, row := range agents {
				e.that(rule, uint64(row.State.Task.Number) == after.Progress.Inbox, "got row %d of commit %d, the plan of commit %d",
					row.Ordinal, row.State.Task.Number, after.Progress.Inbox)
			}
		}
	}},
}
