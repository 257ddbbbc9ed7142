package ota_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

// storeCalls are the calls of a Store that may go wrong.
var storeCalls = []string{"commit", "plan", "plans", "batches", "agents", "renew", "owners", "claim", "keep", "kept", "release", "post", "read"}

var (
	errShaky = errors.New("shell: no answer")
	errGone  = errors.New("shell: the process has died")
)

// trouble is how one call of the Store goes wrong.
type trouble struct {
	lands  bool          // it is carried out, whatever the answer
	before time.Duration // how late it is carried out
	after  time.Duration // how late its answer is
	never  bool          // its answer does not come before its context ends
	fails  bool          // its answer is an error
	anyway bool          // it is carried out although its context has ended before
}

// outage is a time in which calls of some kinds fail.
type outage struct {
	from, to time.Time
	engine   string // of one engine; empty: of all
	calls    map[string]bool
}

// shaky is the Store as one process sees it. What goes wrong follows from the seed, the process, and the number of the call.
type shaky struct {
	*harness.CheckedStore
	w      *shellWorld
	name   string
	dead   atomic.Bool
	frozen atomic.Int64 // until when no call is answered, Unix nanoseconds

	mu       sync.Mutex
	n        map[string]uint64
	answered map[string][]uint64 // revisions of owners' commits whose answer came, by plan, in order
	observed map[string][]uint64 // the same, as the Observer of this process got them
	verbs    map[string]int      // by plan and revision: answers of all other commits, less the notifications
}

// answer records the answer of a commit.
func (s *shaky) answer(plan string, revision uint64, owner bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if owner {
		s.answered[plan] = append(s.answered[plan], revision)
	} else {
		s.verbs[fmt.Sprint(plan, "/", revision)]++
	}
}

// Committed implements ota.Observer.
func (s *shaky) Committed(c *ota.Committed) {
	rec, err := c.Record()
	if err != nil || rec.Status != c.Status || rec.Revision != c.Revision {
		s.w.Errorf("%s: observed %+v, with the record %+v %v", s.name, c, rec, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Owner {
		s.observed[c.Plan] = append(s.observed[c.Plan], c.Revision)
	} else {
		s.verbs[fmt.Sprint(c.Plan, "/", c.Revision)]--
	}
	if len(s.verbs)%5 == 4 {
		panic("shell: an observer panics")
	}
}

// Called implements ota.Observer.
func (s *shaky) Called(*ota.Called) {}

// compare judges that the Observer got each commit of this process once, an owner's in order.
func (s *shaky) compare() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !maps.EqualFunc(s.answered, s.observed, slices.Equal) {
		s.w.Errorf("%s committed as owner %v, and its observer got %v", s.name, s.answered, s.observed)
	}
	for commit, n := range s.verbs {
		if n != 0 {
			s.w.Errorf("%s: commit %s was answered %d times more than observed", s.name, commit, n)
		}
	}
}

// draw is what chance says about one thing: the same for a seed, however goroutines are scheduled.
func (w *shellWorld) draw(what string, n uint64) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(what))
	h.Write(strconv.AppendUint(nil, n, 10))
	return rand.New(rand.NewPCG(h.Sum64(), w.seed))
}

func (s *shaky) trouble(call string) trouble {
	s.mu.Lock()
	s.n[call]++
	r := s.w.draw(s.name+"/"+call, s.n[call])
	s.mu.Unlock()
	now := time.Now()
	if until := time.Unix(0, s.frozen.Load()); until.After(now) {
		return trouble{lands: true, before: until.Sub(now), anyway: r.IntN(2) == 0}
	}
	for _, o := range s.w.outages {
		if o.calls[call] && (o.engine == "" || o.engine == s.name) && now.After(o.from) && now.Before(o.to) {
			return trouble{fails: true, lands: r.IntN(4) == 0}
		}
	}
	if r.IntN(100) >= s.w.wild {
		return trouble{lands: true}
	}
	late := func() time.Duration { return time.Duration(r.Int64N(int64(4 * shellLease))) }
	switch r.IntN(6) {
	case 0:
		return trouble{fails: true}
	case 1:
		return trouble{fails: true, lands: true}
	case 2:
		return trouble{lands: true, before: late(), anyway: r.IntN(2) == 0}
	case 3, 4:
		return trouble{lands: true, after: late()}
	default:
		return trouble{never: true, lands: r.IntN(2) == 0}
	}
}

// do makes one call of the Store.
func (s *shaky) do(ctx context.Context, call string, f func(context.Context) error) error {
	s.w.busy(s.name + "/" + call)
	if s.dead.Load() {
		return errGone
	}
	if s.w.isCalm() {
		return f(ctx)
	}
	t := s.trouble(call)
	err := s.w.pass(ctx, t.before)
	if err != nil { // it was on its way, and may land although its caller has given it up
		if t.anyway {
			_ = f(context.WithoutCancel(ctx))
		}
		return err
	}
	if t.lands {
		err = f(context.WithoutCancel(ctx))
	}
	if t.never {
		_ = s.w.pass(ctx, time.Hour)
		return cmpErr(ctx.Err(), errShaky)
	}
	if late := s.w.pass(ctx, t.after); late != nil {
		return late
	}
	if t.fails {
		return errShaky
	}
	return err
}

func cmpErr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func call[T any](ctx context.Context, s *shaky, name string, f func(context.Context) (T, error)) (out T, err error) {
	var got T
	err = s.do(ctx, name, func(ctx context.Context) (err error) {
		got, err = f(ctx)
		return err
	})
	if err != nil {
		return out, err
	}
	return got, nil
}

func (s *shaky) Commit(ctx context.Context, c ota.Commit) (uint64, error) {
	rev, err := call(ctx, s, "commit", func(ctx context.Context) (uint64, error) { return s.CheckedStore.Commit(ctx, c) })
	if err == nil {
		s.answer(c.Plan, rev, c.If.Epoch != 0)
	}
	return rev, err
}

func (s *shaky) Create(ctx context.Context, p ota.PlanRow, rows iter.Seq2[ota.Row, error], finish func() (ota.Commit, error)) error {
	err := s.CheckedStore.Create(ctx, p, rows, finish)
	if err == nil {
		s.answer(p.ID, 1, false)
	}
	return err
}

func (s *shaky) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	return call(ctx, s, "plan", func(ctx context.Context) (ota.PlanRow, error) { return s.CheckedStore.Plan(ctx, id) })
}

func (s *shaky) Plans(ctx context.Context, q ota.PlanQuery) (ota.Page[ota.PlanRow], error) {
	return call(ctx, s, "plans", func(ctx context.Context) (ota.Page[ota.PlanRow], error) { return s.CheckedStore.Plans(ctx, q) })
}

func (s *shaky) Rows(ctx context.Context, id string, q ota.RowQuery) (ota.Page[ota.Row], error) {
	return call(ctx, s, "rows", func(ctx context.Context) (ota.Page[ota.Row], error) {
		q.Buffer = nil // the call may end after its caller has used the buffer for something else
		return s.CheckedStore.Rows(ctx, id, q)
	})
}

func (s *shaky) Renew(ctx context.Context, engine string, ttl time.Duration) error {
	return s.do(ctx, "renew", func(ctx context.Context) error { return s.CheckedStore.Renew(ctx, engine, ttl) })
}

func (s *shaky) Owners(ctx context.Context) ([]string, error) {
	return call(ctx, s, "owners", s.CheckedStore.Owners)
}

func (s *shaky) Claim(ctx context.Context, plan, from string) (found []ota.Conflict, total int, err error) {
	err = s.do(ctx, "claim", func(ctx context.Context) (err error) {
		found, total, err = s.CheckedStore.Claim(ctx, plan, from)
		return err
	})
	return found, total, err
}

func (s *shaky) Post(ctx context.Context, plan string, messages []ota.Message) error {
	return s.do(ctx, "post", func(ctx context.Context) error { return s.CheckedStore.Post(ctx, plan, messages) })
}

func (s *shaky) Read(ctx context.Context, plan string, after uint64, limit int) ([]ota.Message, error) {
	return call(ctx, s, "read", func(ctx context.Context) ([]ota.Message, error) { return s.CheckedStore.Read(ctx, plan, after, limit) })
}

func (s *shaky) Keep(ctx context.Context, plan, engine string, agents []string) error {
	return s.do(ctx, "keep", func(ctx context.Context) error { return s.CheckedStore.Keep(ctx, plan, engine, agents) })
}

func (s *shaky) Kept(ctx context.Context, plan string) ([]ota.Conflict, error) {
	return call(ctx, s, "kept", func(ctx context.Context) ([]ota.Conflict, error) { return s.CheckedStore.Kept(ctx, plan) })
}

func (s *shaky) Release(ctx context.Context, plan string, agents []string) error {
	return s.do(ctx, "release", func(ctx context.Context) error { return s.CheckedStore.Release(ctx, plan, agents) })
}
