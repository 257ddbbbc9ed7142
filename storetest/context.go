package storetest

import (
	"bytes"
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
		e.is(ruleEnded, e.store.Create(ended, q.plan, q.rows(), q.finish), context.Canceled)
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
		_, err = e.store.Rows(ended, "p", ota.RowQuery{Kind: ota.KindAgent})
		e.is(ruleEnded, err, context.DeadlineExceeded)
		_, err = e.store.Log(ended, "", ota.LogQuery{})
		e.is(ruleEnded, err, context.DeadlineExceeded)
		_, err = e.store.Log(ended, "p", ota.LogQuery{Limit: 1})
		e.is(ruleEnded, err, context.DeadlineExceeded)
	}},
	{"ACreateThatIsCutOffIsNothingOrAll", func(e *env) {
		const rule = "a Create whose context ends half way makes nothing, or all"
		p := e.sample("p", 3000, 1000)
		ctx, cancel := context.WithCancel(e.ctx)
		err := e.store.Create(ctx, p.plan, p.rowsThen(1500, func() error {
			cancel()
			return nil
		}), p.finish)
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
			c.Then.Progress, c.Parts.Progress = c.If.Progress+1, []byte{byte(i + 1)}
			for n := range p.agents {
				c.Rows = append(c.Rows, ota.Row{Kind: ota.KindAgent, Number: n, State: []byte{byte(i + 1)}})
			}
			ctx, cancel := context.WithTimeout(e.ctx, time.Duration(i*i)*20*time.Microsecond)
			_, err := e.store.Commit(ctx, c)
			cancel()
			after, agents := e.settled("p", ota.RowQuery{Limit: 5000})
			landed := after.Revision == before.Revision+1
			e.that(rule, landed || err != nil, "got no error at revision %d", after.Revision)
			e.that(rule, landed == (after.Numbers.Progress == before.Numbers.Progress+1), "got revision %d, Progress number %d after %d and %d",
				after.Revision, after.Numbers.Progress, before.Revision, before.Numbers.Progress)
			for _, row := range agents {
				whole := after.Numbers.Progress == 1 && len(row.State) == 0 || bytes.Equal(row.State, after.Parts.Progress)
				e.that(rule, whole, "got row %d of commit %x, the plan of commit %x", row.Number, row.State, after.Parts.Progress)
			}
		}
	}},
}
