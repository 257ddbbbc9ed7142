package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/harness"
)

// Every operation of the Engine that carries a By is said with a request ID, repeated, and interrupted by a crash after
// each of its writes, in every situation in which it does something. In the end the plans are what they are without all
// that, in time, and stay so.

// errDead is what every method of a Store returns to a process that has died.
var errDead = errors.New("the process has died")

// crashing is the Store of one process, which dies at one of its writes, before or after that has landed.
type crashing struct {
	*harness.CheckedStore
	mu     sync.Mutex
	armed  bool
	at     int  // the process dies at this write from when it was armed; 0: never
	after  bool // the write lands first
	writes int  // commits of verbs, Creates and Claims since then
	landed int  // of these, without Claims
	dead   bool
	kill   func() // ends everything that the process does
}

func (m *crashing) arm(at int, after bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.armed, m.at, m.after, m.writes, m.landed = true, at, after, 0, 0
}

// count returns how many writes there were, and whether one of them has landed, Claims apart.
func (m *crashing) count() (writes int, landed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes, m.landed > 0
}

func (m *crashing) isDead() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

// write lets one write happen, or the process die at it.
func (m *crashing) write(claim bool, f func() error) error {
	m.mu.Lock()
	if m.dead {
		m.mu.Unlock()
		return errDead
	}
	m.writes++
	dies := m.armed && m.writes == m.at
	if dies {
		m.dead = true
		m.kill()
	}
	m.mu.Unlock()
	if dies && !m.after {
		return errDead
	}
	err := f()
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil && !claim {
		m.landed++
	}
	if dies {
		return errDead
	}
	return err
}

func (m *crashing) Commit(ctx context.Context, c ota.Commit) (rev uint64, err error) {
	if c.If.Epoch != 0 {
		if m.isDead() {
			return 0, errDead
		}
		return m.CheckedStore.Commit(ctx, c)
	}
	err = m.write(false, func() error { rev, err = m.CheckedStore.Commit(context.WithoutCancel(ctx), c); return err })
	return rev, err
}

func (m *crashing) Create(ctx context.Context, p ota.PlanRow, rows iter.Seq2[ota.Row, error], first func() (ota.Commit, error)) error {
	return m.write(false, func() error { return m.CheckedStore.Create(context.WithoutCancel(ctx), p, rows, first) })
}

func (m *crashing) Claim(ctx context.Context, plan, from string) (conflicts []ota.Conflict, total int, err error) {
	err = m.write(true, func() error {
		conflicts, total, err = m.CheckedStore.Claim(context.WithoutCancel(ctx), plan, from)
		return err
	})
	return conflicts, total, err
}

func (m *crashing) Plan(ctx context.Context, id string) (ota.PlanRow, error) {
	if m.isDead() {
		return ota.PlanRow{}, errDead
	}
	return m.CheckedStore.Plan(ctx, id)
}

func (m *crashing) Plans(ctx context.Context, q ota.PlanQuery) (ota.Page[ota.PlanRow], error) {
	if m.isDead() {
		return ota.Page[ota.PlanRow]{}, errDead
	}
	return m.CheckedStore.Plans(ctx, q)
}

// interruption is one way in which an operation goes: where the process dies, and how it is repeated.
type interruption struct {
	request string
	at      int // the write at which the process dies; 0: it does not
	after   bool
	repeat  string // the request ID of a repetition at once; "" and again false: none
	again   bool
}

func (t interruption) String() string {
	s := "request " + cmp.Or(t.request, "none")
	if t.at > 0 {
		s += fmt.Sprintf(", dies at write %d, landed %t", t.at, t.after)
	}
	if t.again {
		s += ", repeated with " + t.repeat
	}
	return s
}

// ending is what two plans have become.
type ending struct {
	Target, Other             string // statuses
	TargetCounts, OtherCounts ota.Counts
	Tied                      bool // a source that has not ended is tied to a rollback plan
	Concurrency               int
	Promoted                  string
	Annotations               string
	Prechecked                bool
}

// upshot is what came of an interruption.
type upshot struct {
	ending
	err      error
	late     error // of a repetition long after it
	writes   int
	accepted bool // a commit landed before the process died
	gap      bool // nobody finishes it, see operation.gap
}

// horizon is how long everything may take.
const horizon = 30 * time.Minute

// sameProcess says that the process which dies drives the plans too.
type sameProcess bool

// try plays an operation in a situation. Without op nothing is said.
func try(t *testing.T, put func(*scene) string, op *operation, how interruption, same sameProcess) (out upshot) {
	t.Helper()
	inScene(t, func(s *scene) {
		store := &crashing{CheckedStore: s.store}
		callers := ota.Options{Name: "caller", Poll: time.Minute, Lease: time.Minute, DrainTimeout: -1}
		drivers := ota.Options{Name: "one", Poll: time.Minute, Lease: time.Minute}
		var caller *ota.Engine
		var err error
		if same {
			s.e, err = ota.New(store, s.fleet, callers)
			require.NoError(s, err)
			caller = s.e
		} else {
			s.e, err = ota.New(s.store, s.fleet, drivers)
			require.NoError(s, err)
			caller, err = ota.New(store, s.fleet, callers)
			require.NoError(s, err)
		}
		life, kill := context.WithCancel(s.ctx)
		defer kill()
		store.kill = kill
		whole := s.ctx
		if same {
			s.ctx = life
		}
		id := put(s)
		p := s.plan(id)
		if op != nil {
			store.arm(how.at, how.after)
			_, out.err = op.say(life, caller, p, ota.Request{Actor: "ann", ID: how.request})
			if store.isDead() {
				synctest.Wait() // its last write may be under way
			}
			out.writes, out.accepted = store.count()
			store.arm(0, false)
		}
		if store.isDead() { // another process has to go on
			s.ctx = whole
			s.e, err = ota.New(s.store, s.fleet, drivers)
			require.NoError(s, err)
			if same {
				s.run(s.e)
			}
			caller = s.e
		}
		if how.again {
			_, out.err = op.say(s.ctx, caller, p, ota.Request{Actor: "ann", ID: how.repeat})
		}
		s.after(horizon)
		out.ending = s.ending(id)
		out.stays(s, id, op, how, caller, p)
	})
	return out
}

// stays repeats a request that was carried out once more, long after it, and sees that nothing changes any more.
func (out *upshot) stays(s *scene, id string, op *operation, how interruption, e *ota.Engine, p ota.Plan) {
	target, other := s.pair(id)
	heard := how.at == 0 && out.err == nil || out.accepted && !how.again || how.again && how.repeat == how.request && out.err == nil
	switch {
	case op != nil && op.gap(how, out, target, other):
		out.gap = true
		s.closes(cmp.Or(target.Source, target.ID))
		return
	case op != nil && how.request != "" && heard:
		_, out.late = op.say(s.ctx, e, p, ota.Request{Actor: "ann", ID: how.request})
	}
	s.after(horizon)
	require.Equal(s, out.ending, s.ending(id), "%s: it does not stay", how)
	nowTarget, nowOther := s.pair(id)
	require.Equal(s, target.Revision, nowTarget.Revision, "%s: the plan is written to", how)
	require.Equal(s, other.Revision, nowOther.Revision, "%s: the other plan is written to", how)
}

// closes sees that there is a way out of a gap: the source is rolled back when somebody says so.
func (s *scene) closes(source string) {
	_, err := s.e.Rollback(s.ctx, source, ota.RollbackSpec{}, ota.Request{})
	if errors.Is(err, ota.ErrClaimed) { // a definite answer: another plan has to end first
		return
	}
	require.NoError(s, err)
	s.after(horizon)
	s.status(source, ota.StatusRolledBack)
}

// sentinel is the kind of an error. A process that died has got none.
func sentinel(err error, how interruption) error {
	for _, kind := range []error{ota.ErrClaimed, ota.ErrNothing, ota.ErrInvalid, ota.ErrState, ota.ErrBreach, ota.ErrConflict, ota.ErrNotFound} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	if how.at > 0 && (errors.Is(err, errDead) || errors.Is(err, context.Canceled)) {
		return nil
	}
	return err
}

// pair is a plan and the one at the other end of its rollback, if there is one.
func (s *scene) pair(id string) (target, other ota.Plan) {
	target = s.plan(id)
	if at := cmp.Or(target.RollbackPlan, target.Source); at != "" {
		other, _ = s.e.Plan(s.ctx, at) // it may not have been made
	}
	return target, other
}

func (s *scene) ending(id string) ending {
	target, other := s.pair(id)
	row, err := s.store.Store.Plan(s.ctx, id)
	require.NoError(s, err)
	out := ending{
		Target: target.Status.String(), TargetCounts: target.Counts, Concurrency: target.Policy.Concurrency,
		Promoted: fmt.Sprint(harness.Member(row.Parts.Control, "promoted")), Annotations: fmt.Sprint(target.Annotations), Prechecked: target.Readiness != nil,
	}
	if target.RollbackPlan != "" || target.Source != "" {
		out.Other, out.OtherCounts = other.Status.String(), other.Counts
	}
	source := target
	if target.Source != "" {
		source = other
	}
	out.Tied = source.RollbackPlan != "" && !source.Status.Ended()
	return out
}

// TestEveryOperationIsInTheTable fails when a method that takes a By is added and the table below does not have it.
func TestEveryOperationIsInTheTable(t *testing.T) {
	have := map[string]bool{}
	for _, op := range operations() {
		have[op.method] = true
	}
	for m := range reflect.TypeFor[*ota.Engine]().Methods() {
		for in := range m.Type.Ins() {
			if in == reflect.TypeFor[ota.Request]() {
				require.True(t, have[m.Name], "operations() has no row for Engine.%s", m.Name)
				delete(have, m.Name)
			}
		}
	}
	require.Empty(t, have, "rows of methods that there are not")
}
