package executortest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"
)

var concurrencyCases = cases{
	{"ManyAgentsAtOnce", func(e *env) {
		const rule = "calls for different agents at once do not disturb each other"
		outs := make([]<-chan reply, len(e.opt.Agents))
		for i := range outs {
			outs[i] = e.start(e.ctx, e.attempt("plan", i))
		}
		for i, out := range outs {
			r := e.within(rule, caseLimit, out)
			e.ok(rule, r.err)
			e.reports(e.attempt("plan", i), r.res)
		}
		for _, agent := range e.opt.Agents {
			e.runs(rule, agent, e.opt.ToVersion)
		}
	}},
	{"NoGoroutineIsLeft", func(e *env) {
		const rule = "a call leaves no goroutine behind"
		const calls = 16
		e.leaves(rule, calls, func(ctx context.Context, i int) {
			a := e.attempt(fmt.Sprint("plan-", i), 0)
			if i%2 == 1 {
				a = e.back(a)
			}
			_, _ = e.exec.Execute(ctx, a)
		})
	}},
	{"NoGoroutineIsLeftByACallThatIsCutShort", func(e *env) {
		const rule = "a call leaves no goroutine behind when its context ends"
		e.leaves(rule, 16, func(ctx context.Context, i int) {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			a := e.slow(e.attempt(fmt.Sprint("plan-", i), 0))
			out := e.start(ctx, a)
			time.Sleep(time.Duration(i%4) * time.Millisecond)
			cancel()
			e.within(ruleEnds, e.opt.Bound, out)
		})
	}},
}

var marks atomic.Uint64

// leaves makes calls, and expects that fewer goroutines than half as many are left: those of a pool
// of connections, for example, may stay, but not one for each call. Goroutines are told by a
// profiler label, which they inherit, so that others in this process do not count.
func (e *env) leaves(rule string, calls int, call func(ctx context.Context, i int)) {
	mark := fmt.Sprint("case-", marks.Add(1))
	pprof.Do(e.ctx, pprof.Labels("executortest", mark), func(ctx context.Context) {
		for i := range calls {
			call(ctx, i)
		}
	})
	end := time.Now().Add(e.opt.Bound)
	for {
		n, stacks := marked(mark)
		if n < calls/2 {
			return
		}
		if time.Now().After(end) {
			e.that(rule, false, "got %d goroutines after %d calls\n%s", n, calls, stacks)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// marked counts the goroutines that carry a label.
func marked(mark string) (n int, stacks string) {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		return 0, ""
	}
	var found []string
	_, records, _ := strings.Cut(b.String(), "\n") // the first line is the total
	for part := range strings.SplitSeq(records, "\n\n") {
		if !strings.Contains(part, `"executortest":"`+mark+`"`) {
			continue
		}
		var k int
		if _, err := fmt.Sscanf(part, "%d @", &k); err == nil {
			n += k
			found = append(found, part)
		}
	}
	return n, strings.Join(found, "\n")
}
