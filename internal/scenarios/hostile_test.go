package scenarios

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
)

var (
	hostileSeeds = flag.Int("hostile.seeds", 0, "schedules of hostile operators and fleets; 0: 60, or 15 with -short")
	hostileFirst = flag.Uint64("hostile.first", 0, "the first seed")
)

// hostile is a fleet that does what it likes until it is healed, and an operator who does so too.
type hostile struct {
	*scene
	mu     sync.Mutex
	r      *rand.Rand
	healed bool
	mood   int // of the answers about health; changes with time
	plans  []string
	stop   func() error
	said   []string
	run    int
}

func (h *hostile) pick(n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.r.IntN(n)
}

func (h *hostile) well() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.healed
}

func (h *hostile) Execute(ctx context.Context, a ota.Attempt) (ota.Result, error) {
	ok := ota.Result{Version: a.ToVersion}
	if h.well() {
		return ok, nap(ctx, time.Second)
	}
	if err := nap(ctx, time.Duration(h.pick(40)*h.pick(2))*time.Second); err != nil {
		return ota.Result{}, err
	}
	switch h.pick(12) {
	case 0:
		return ota.Result{}, errors.New("no")
	case 1:
		return ota.Result{}, ota.Permanent(errors.New("never"))
	case 2:
		return ota.Result{}, ota.Unchanged(ota.Permanent(errors.New("nothing done")))
	case 3:
		return ota.Result{}, ota.Unreachable(errors.New("no route"))
	case 4:
		<-ctx.Done()
		return ota.Result{}, ctx.Err()
	case 5:
		return ota.Result{Version: "9"}, nil
	case 6:
		time.Sleep(time.Duration(h.pick(400)) * time.Second) // ignores its context
	}
	return ok, nil
}

func (h *hostile) Health(ctx context.Context, _ ota.Attempt) (ota.Health, error) {
	if h.well() {
		return ota.Health{Healthy: true}, nil
	}
	h.mu.Lock()
	mood := h.mood
	h.mu.Unlock()
	switch {
	case mood == 0 && h.pick(2) == 0:
		return ota.Health{}, errors.New("no answer")
	case mood == 1 && h.pick(3) == 0:
		return ota.Health{Reason: "sick"}, nil
	case mood == 2 && h.pick(5) == 0:
		panic("a broken prober")
	case mood == 3 && h.pick(5) == 0:
		time.Sleep(45 * time.Second) // longer than a question may take
	case mood == 4 && h.pick(5) == 0:
		<-ctx.Done()
		return ota.Health{}, ctx.Err()
	}
	return ota.Health{Healthy: true}, nil
}

func (h *hostile) Precheck(_ context.Context, _ ota.Attempt) (ota.Precheck, error) {
	if h.well() {
		return ota.Precheck{}, nil
	}
	switch h.pick(10) {
	case 0:
		return ota.Precheck{Down: true}, nil
	case 1:
		return ota.Precheck{State: ota.PrecheckBlocked, Reason: "disk full"}, nil
	case 2:
		return ota.Precheck{}, errors.New("unreachable")
	}
	return ota.Precheck{}, nil
}

func (h *hostile) policy() ota.Policy {
	p := ota.Policy{
		Concurrency: 1 + h.pick(5), OnBreach: ota.Action(h.pick(3)), Halve: h.pick(4) == 0,
		Retry:          ota.RetryPolicy{Max: h.pick(3), Backoff: time.Duration(1+h.pick(60)) * time.Second},
		AttemptTimeout: time.Duration(1+h.pick(5)) * time.Minute, UnreachableTimeout: time.Duration(1+h.pick(10)) * time.Minute,
		OnUnreachable: ota.UnreachableAction(h.pick(2)), MaxAbandoned: h.pick(4), Hold: ota.Hold{All: h.pick(3) == 0},
		Soak: ota.Soak{
			Duration: time.Duration(h.pick(3)) * time.Minute, Stable: time.Duration(h.pick(2)) * time.Minute, Grace: time.Duration(h.pick(2)) * 20 * time.Second,
			ToEnd: h.pick(2) == 0, Misses: []int{0, 1, 2, ota.Off}[h.pick(4)],
		},
	}
	p.Reserve = p.OnBreach != ota.ActionContinue && h.pick(3) == 0
	if h.pick(2) == 0 {
		p.FailureThreshold = ptr([]float64{0, 0.2, 0.5}[h.pick(3)])
	}
	if h.pick(2) == 0 {
		p.Expect = &ota.Expect{Normal: []float64{1e-6, 0.01, 0.4}[h.pick(3)]}
	}
	if h.pick(3) == 0 {
		p.Complete.Min = []float64{0.3, 0.9, 1}[h.pick(3)]
		p.Complete.Within = time.Duration(h.pick(2)) * 30 * time.Minute
	}
	p.Budgets = h.budgets()
	return p
}

func (h *hostile) budgets() []ota.Budget {
	var all []ota.Budget
	labels := []string{"zone", "rack", "none", "role", "x1", "x2", "x3", "x4"}
	turns := h.pick(16)
	for i, label := range labels[:[]int{0, 0, 1, 2, 3, 8}[h.pick(6)]] {
		b := ota.Budget{Label: label, Max: 1 + h.pick(4), Of: ota.BudgetOf(h.pick(2))}
		if h.pick(4) == 0 {
			b.Each = map[string]int{"a": 1 + h.pick(3)}
		}
		if i == turns {
			b.Values, b.Max = 1+h.pick(2), b.Max*h.pick(2)
		}
		all = append(all, b)
	}
	return all
}

func (h *hostile) create(ids []string) {
	i := len(h.plans)
	spec := ota.Spec{
		ID: fmt.Sprint("p", i), Name: "hostile", FromVersion: "1", ToVersion: fmt.Sprint(i + 2), Shape: ota.Shape{Size: 1 + h.pick(6), Canary: h.pick(2)},
		Policy: h.policy(),
		Agents: func(yield func(ota.Agent, error) bool) {
			for n, id := range ids {
				a := ota.Agent{ID: id, Labels: map[string]string{"zone": string(rune('a' + n%3)), "x1": id}}
				if n%4 > 0 {
					a.Labels["rack"] = string(rune('a' + n%2))
				}
				if !yield(a, nil) {
					return
				}
			}
		},
	}
	if h.pick(3) == 0 {
		spec.Rollback = &ota.RollbackSpec{Inherit: ota.Inherit(h.pick(3)), Interrupt: h.pick(2) == 0}
	}
	p, err := h.e.Create(h.ctx, spec)
	require.NoError(h, err)
	h.plans = append(h.plans, p.ID)
	h.log("create", p.ID, fmt.Sprintf("%+v %+v", spec.Shape, spec.Policy))
}

func (h *hostile) log(words ...any) {
	h.said = append(h.said, fmt.Sprint(time.Since(sceneStart).Round(time.Second), " ", fmt.Sprintln(words...)))
}

var sceneStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// engines are replaced: some end in good order, and the next has another name.
func (h *hostile) takeOver() {
	_ = h.stop()
	h.run++
	h.e = h.engineOf(h.store, h, ota.Options{Name: fmt.Sprint("engine-", h.run%2), DrainTimeout: time.Second, AbandonAfter: 2 * time.Second})
	h.stop = h.scene.run(h.e)
	h.log("another engine")
}

// all are the plans and their rollback plans.
func (h *hostile) all() []string {
	page, err := h.e.Plans(h.ctx, ota.PlanQuery{Limit: 100})
	require.NoError(h, err)
	var ids []string
	for _, p := range page.Items {
		ids = append(ids, p.ID)
	}
	slices.Sort(ids)
	return ids
}

// act does one thing to a plan. Refusals are fine.
func (h *hostile) act(ids []string) {
	all := h.all()
	id := all[h.pick(len(all))]
	some := slices.DeleteFunc(slices.Clone(ids), func(string) bool { return h.pick(2) == 0 })
	by := ota.Request{}
	what, err := "", error(nil)
	switch h.pick(16) {
	case 0:
		what = "start"
		_, err = h.e.Start(h.ctx, id, by)
	case 1:
		what = "pause"
		_, err = h.e.Pause(h.ctx, id, by)
	case 2, 3:
		p := h.plan(id)
		d := []ota.Decision{{}, ota.Accept(p.Counts.Bad()), ota.RetryFailed(), ota.Raise(float64(h.pick(10)) / 10)}[h.pick(4)]
		what = "resume " + d.String()
		_, err = h.e.Resume(h.ctx, id, d, by)
	case 4:
		if h.pick(4) == 0 {
			what = "cancel"
			_, err = h.e.Cancel(h.ctx, id, h.pick(2) == 0, by)
		}
	case 5, 6:
		what = "promote"
		_, err = h.e.Promote(h.ctx, id, h.plan(id).Batch+h.pick(2), by)
	case 7:
		what = fmt.Sprint("skip ", some)
		_, err = h.e.Skip(h.ctx, id, some, by)
	case 8:
		what = fmt.Sprint("now ", some)
		_, err = h.e.Now(h.ctx, id, some, by)
	case 9:
		what = fmt.Sprint("give up ", some)
		_, err = h.e.GiveUp(h.ctx, id, some, by)
	case 10, 11:
		what = fmt.Sprint("retry ", some)
		_, err = h.e.Retry(h.ctx, id, some, by)
	case 12:
		p := h.policy()
		what = fmt.Sprintf("edit %+v", p)
		_, err = h.e.Edit(h.ctx, id, func(q *ota.Policy) { *q = p }, by)
	case 13:
		b := h.budgets()
		what = fmt.Sprintf("edit budgets %+v", b)
		_, err = h.e.Edit(h.ctx, id, func(q *ota.Policy) { q.Budgets = b }, by)
	case 14:
		what = "rollback"
		_, err = h.e.Rollback(h.ctx, id, ota.RollbackSpec{Inherit: ota.Inherit(h.pick(3)), Interrupt: h.pick(2) == 0}, by)
	case 15:
		if h.pick(2) == 0 {
			h.log("the store is down")
			h.store.Down.Store(true)
			h.after(time.Duration(h.pick(60)) * time.Second)
			h.store.Down.Store(false)
		}
		h.takeOver()
	}
	if what != "" {
		h.log(what, id, err)
	}
}

// wayOut does what Explain of a plan says until the plan has ended. It must end.
func (h *hostile) wayOut() {
	for range 60 {
		h.after(3 * time.Hour)
		open := 0
		for _, id := range h.all() {
			p := h.plan(id)
			if p.Status.Ended() {
				continue
			}
			open++
			if p.Status == ota.StatusPending {
				if _, err := h.e.Start(h.ctx, id, ota.Request{}); err != nil {
					_, err = h.e.Cancel(h.ctx, id, false, ota.Request{})
					require.NoError(h, err, id)
				}
				continue
			}
			h.follow(p)
		}
		if open == 0 {
			return
		}
	}
	for _, id := range h.all() {
		if p := h.plan(id); !p.Status.Ended() {
			h.Errorf("there is no way out of %s: %s %+v\n%+v", id, p.Status, p.Counts, h.explain(id).Blockers)
		}
	}
}

// follow does what the blockers of a plan name.
func (h *hostile) follow(p ota.Plan) {
	known := map[string]uint64{}
	for _, id := range h.all() {
		known[id] = h.plan(id).Generation
	}
	x := h.explain(p.ID)
	if len(x.Blockers) == 0 {
		h.Errorf("%s is %s and nothing explains it", p.ID, p.Status)
	}
	for _, b := range x.Blockers {
		id, err := p.ID, error(nil)
		if b.Plan != "" {
			id = b.Plan
		}
		q := h.plan(id)
		switch b.Verb {
		case 0:
			continue
		case ota.VerbResume:
			if strings.Contains(b.With, "edit of the budgets") && !strings.Contains(b.With, "with retry") {
				_, err = h.e.Edit(h.ctx, id, func(q *ota.Policy) { q.Budgets = nil }, ota.Request{})
				require.NoError(h, err)
			}
			var errs []error
			for _, d := range []ota.Decision{{}, ota.Accept(q.Counts.Bad()), ota.RetryFailed()} {
				if b.Reason == ota.ReasonPaused || strings.Contains(b.With, strings.Fields(d.String() + " plainly")[0]) || d == (ota.Decision{}) {
					if _, err = h.e.Resume(h.ctx, id, d, ota.Request{}); err == nil {
						break
					}
					errs = append(errs, err)
				}
			}
			if err != nil && h.plan(id).Generation == known[id] { // otherwise it has changed since Explain
				h.Errorf("%s: %s: %v", id, b, errs)
			}
		case ota.VerbPromote:
			_, err = h.e.Promote(h.ctx, id, q.Batch+1, ota.Request{})
			if err != nil {
				if _, err = h.e.Promote(h.ctx, id, q.Batch, ota.Request{}); err != nil && h.plan(id).Batch == q.Batch {
					h.Errorf("%s: %s: %v", id, b, err)
				}
			}
		case ota.VerbRollback:
			if _, err = h.e.Rollback(h.ctx, id, ota.RollbackSpec{}, ota.Request{}); err != nil {
				h.Errorf("%s: %s: %v", id, b, err)
			}
		default:
			h.Errorf("%s: what is %s?", id, b)
		}
		h.log("follow", id, b, err)
	}
}

// Whatever a fleet and its operators do, each plan can be ended by doing what Explain says.
func TestEveryPlanHasAWayOut(t *testing.T) {
	seeds := *hostileSeeds
	if seeds == 0 {
		seeds = 60
		if testing.Short() {
			seeds = 15
		}
	}
	for seed := *hostileFirst; seed < *hostileFirst+uint64(seeds); seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			inScene(t, func(s *scene) {
				h := &hostile{scene: s, r: rand.New(rand.NewPCG(seed, 1))}
				h.stop = func() error { return nil }
				h.takeOver()
				ids := names("a", []int{1, 1, 2, 5, 9, 12}[h.pick(6)])
				h.create(ids)
				_, err := h.e.Start(h.ctx, "p0", ota.Request{})
				require.NoError(s, err)
				for range 40 {
					h.after(time.Duration(h.pick(120)*h.pick(3)) * time.Second)
					h.mu.Lock()
					h.mood = h.r.IntN(8)
					h.mu.Unlock()
					if len(h.plans) < 3 && h.pick(10) == 0 {
						h.create(ids)
					}
					h.act(ids)
				}
				h.mu.Lock()
				h.healed = true
				h.mu.Unlock()
				h.log("healed")
				h.wayOut()
				if t.Failed() {
					t.Log(strings.Join(h.said, ""))
				}
			})
		})
	}
}
