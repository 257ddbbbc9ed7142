package ota_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

// shellFleet is the agents, and all that was done to them.
type shellFleet struct {
	w       *shellWorld
	curious bool // it answers questions

	mu   sync.Mutex
	out  map[string]int  // calls that are out, by agent and epoch
	done map[string]bool // attempts that have upgraded, by plan and agent
	n    map[string]uint64
}

func newShellFleet(w *shellWorld) *shellFleet {
	return &shellFleet{w: w, curious: w.r.IntN(2) == 0, out: map[string]int{}, done: map[string]bool{}, n: map[string]uint64{}}
}

// shellExec is the Executor of one process; shellCurious answers questions as well.
type (
	shellExec struct {
		*shellFleet
		process string
	}
	shellCurious struct{ shellExec }
)

func (f *shellFleet) executor(process string) ota.Executor {
	if f.curious {
		return shellCurious{shellExec{f, process}}
	}
	return shellExec{f, process}
}

func (f *shellFleet) next(what string) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n[what]++
	return f.n[what]
}

// begin sets down that a call is out, and judges it: it is committed, and no other call of its epoch is out for its agent.
func (f *shellFleet) begin(process string, a ota.Attempt) (end func()) {
	key := fmt.Sprintf("%s of %s at epoch %d", a.Agent, a.Plan, a.Epoch)
	f.mu.Lock()
	f.out[key]++
	twice := f.out[key] > 1
	f.mu.Unlock()
	if twice {
		f.w.Errorf("%s: %s is called twice at once", process, key)
	}
	page, err := f.w.court.Store.Rows(context.Background(), a.Plan, ota.RowQuery{Kind: ota.KindAgent, IDs: []string{a.Agent}, Limit: 1})
	if err != nil || len(page.Items) != 1 || ota.AttemptNumber(&page.Items[0], a.Task) < a.Number {
		f.w.Errorf("%s: %s is called before that is committed: %+v %v", process, key, page.Items, err)
	}
	return func() {
		f.mu.Lock()
		f.out[key]--
		f.mu.Unlock()
	}
}

// Execute upgrades, fails, panics, and what Executors do.
func (f shellExec) Execute(ctx context.Context, a ota.Attempt) (ota.Result, error) {
	defer f.begin(f.process, a)()
	r := f.w.draw("call/"+a.Agent, f.next("call/"+a.Agent))
	kind := r.IntN(16)
	if f.w.isCalm() {
		kind = min(kind, 10)
	}
	wait := time.Duration(r.Int64N(int64(3 * time.Second)))
	switch kind {
	case 11: // until its context ends
		<-ctx.Done()
		return ota.Result{}, ctx.Err()
	case 12: // it ignores its context
		time.Sleep(time.Duration(r.Int64N(int64(time.Minute))))
	case 13: // longer than a lease
		wait = time.Duration(r.Int64N(int64(3 * shellLease)))
	case 14:
		panic("shell: it panics")
	case 15:
		runtime.Goexit()
	}
	if err := nap(ctx, wait); err != nil {
		return ota.Result{}, err
	}
	switch kind {
	case 7:
		return ota.Result{}, errors.New("it failed")
	case 8:
		return ota.Result{}, ota.Unreachable(errors.New("it is away"))
	case 9:
		return ota.Result{}, ota.Permanent(errors.New("it cannot be done"))
	}
	f.mu.Lock()
	f.done[a.Plan+"/"+a.Agent] = true
	f.mu.Unlock()
	return ota.Result{Version: a.ToVersion}, nil
}

// question is how one is answered: late, wrongly, or never.
func (f shellExec) question(ctx context.Context, about string) error {
	r := f.w.draw("ask/"+about, f.next("ask/"+about))
	kind := r.IntN(12)
	if f.w.isCalm() {
		kind = 0
	}
	switch kind {
	case 7:
		return errors.New("nobody knows")
	case 8:
		panic("shell: a question panics")
	case 9:
		runtime.Goexit()
	case 10:
		<-ctx.Done()
	case 11:
		_ = f.w.pass(context.WithoutCancel(ctx), time.Hour) // it ignores its context
	}
	return nap(ctx, time.Duration(r.Int64N(int64(2*time.Second))))
}

func (f shellCurious) Health(ctx context.Context, a ota.Attempt) (ota.Health, error) {
	return ota.Health{Healthy: true}, f.question(ctx, "health/"+a.Agent)
}

func (f shellCurious) Precheck(ctx context.Context, a ota.Attempt) (ota.Precheck, error) {
	return ota.Precheck{}, f.question(ctx, "precheck/"+a.Agent)
}

func (f shellCurious) Inspect(ctx context.Context, a ota.Attempt) (ota.Inspection, error) {
	return ota.Inspection{}, f.question(ctx, "inspect/"+a.Agent)
}

func (f shellCurious) Gate(ctx context.Context, p ota.Plan, b ota.Batch) (ota.GateVerdict, error) {
	return ota.GatePass, f.question(ctx, fmt.Sprintf("gate/%s/%d", p.ID, b.Index))
}

func nap(ctx context.Context, d time.Duration) error {
	if d <= 0 { // a timer that is due at once, in a bubble and under the race detector, crashes Go 1.26's runtime now and then
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// names returns n IDs with a prefix.
func names(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%03d", prefix, i)
	}
	return out
}

func upgraded(agent string, number int) ota.OutcomeReport {
	return ota.OutcomeReport{Agent: agent, Number: number, Reason: ota.ReasonSucceeded, Version: "2"}
}

// rows are all plans, as they are stored.
func (w *shellWorld) rows() []ota.PlanRow {
	page, err := w.court.Store.Plans(context.Background(), ota.PlanQuery{Limit: 1000})
	require.NoError(w, err)
	return page.Items
}

func (w *shellWorld) allEnded() bool {
	for _, row := range w.rows() {
		if st := ota.StatusOf(&row); !st.Ended() && !w.idle(&row) {
			return false
		}
	}
	return true
}

// idle reports whether a plan waits for nothing: the rollback plan of a source that went on without it. A source that was frozen for
// its rollback plan waits for somebody to start that.
func (w *shellWorld) idle(row *ota.PlanRow) bool {
	if row.Source == "" || ota.StatusOf(row) != ota.StatusPending {
		return false
	}
	source, err := w.court.Store.Plan(context.Background(), row.Source)
	require.NoError(w, err)
	return !ota.Follows(&source, row.ID)
}

// inFlight judges that each row that is running has a call that is out, or is on its way to one. Nothing goes wrong any more, and all
// goroutines wait.
func (w *shellWorld) inFlight() {
	synctest.Wait()
	for _, row := range w.rows() {
		page, err := w.court.Store.Rows(context.Background(), row.ID, ota.RowQuery{
			Kind: ota.KindAgent, Status: []uint8{uint8(ota.TaskRunning)}, Limit: 1000,
		})
		require.NoError(w, err)
		if len(page.Items) == 0 {
			continue
		}
		calls := map[string]bool{}
		for _, p := range w.procs {
			p.e.CallsOnTheirWay(&row, calls)
		}
		for _, a := range page.Items {
			if key, running := ota.RunningCall(&a); running && !calls[key] {
				w.Errorf("agent %s of %s is in flight, and no call for it is out: %s, owner %s", a.ID, row.ID, key, row.Head.Owner)
			}
		}
	}
}

// release does what an operator would who wants everything to end.
func (w *shellWorld) release() {
	e := w.operator()
	for _, row := range w.rows() {
		switch ota.StatusOf(&row) {
		case ota.StatusPaused, ota.StatusPausing:
			_, _ = e.Resume(w.ctx, row.ID, ota.Accept(ota.CountsOf(&row).Bad()), ota.Request{Actor: "ann"})
		case ota.StatusPending:
			if !w.idle(&row) {
				_, _ = e.Start(w.ctx, row.ID, ota.Request{Actor: "ann"})
			}
		}
	}
}

// stuck tells what holds the plans that have not ended.
func (w *shellWorld) stuck() {
	e := w.operator()
	for _, row := range w.rows() {
		if ota.StatusOf(&row).Ended() {
			continue
		}
		for _, p := range w.procs {
			w.Logf("%s: %s", p.store.name, p.e.DescribeDriver(&row))
		}
		x, err := e.Explain(w.ctx, row.ID)
		w.Errorf("plan %s does not end: %s %+v, %+v %v", row.ID, row.Head.Status, ota.CountsOf(&row), x, err)
	}
}

// effects judges that no agent counts as upgraded without having been upgraded.
func (w *shellWorld) effects() {
	for _, row := range w.rows() {
		if row.Source != "" {
			continue
		}
		for _, r := range w.court.Take(row.ID).Agents {
			if r.State.Status == ota.TaskSucceeded && r.State.Tasks[0].Why == ota.ReasonSucceeded && !w.fleet.done[row.ID+"/"+r.ID] && r.Ordinal >= 3 {
				w.Errorf("agent %s of %s has succeeded, and was never upgraded", r.ID, row.ID)
			}
		}
	}
}

// tell prints the logs of all plans.
func (w *shellWorld) tell() {
	for _, row := range w.rows() {
		for _, r := range w.court.Records(row.ID) {
			w.Logf("%s %s %d %s %+v", row.ID, r.At.Format("04:05.000"), r.Revision, r.Status, r.Events)
		}
	}
}
