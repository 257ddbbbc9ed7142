package ota

import (
	"context"
	"sync"
)

// strays are the abandoned calls of this process that have not returned. Their agents take no other attempt until they
// do, also when the driver that made the calls has stopped since.
type strays struct {
	mu    sync.Mutex
	plans map[string][]int // ordinals, by plan
}

func (s *strays) add(plan string, ordinal int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plans == nil {
		s.plans = map[string][]int{}
	}
	s.plans[plan] = append(s.plans[plan], ordinal)
}

// remove takes in that a call has returned.
func (s *strays) remove(plan string, ordinal int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.plans[plan]
	for i, o := range all {
		if o == ordinal {
			s.plans[plan] = append(all[:i:i], all[i+1:]...)
			break
		}
	}
	if len(s.plans[plan]) == 0 {
		delete(s.plans, plan)
	}
}

// of is what a new driver of the plan has to begin with.
func (s *strays) of(plan string) []bar {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []bar
	for _, o := range s.plans[plan] {
		out = append(out, bar{ordinal: o})
	}
	return out
}

// strayed takes in that an abandoned call of a driver has returned. Where that driver has stopped since, its plan is told
// by the next one, or alone.
func (d *driver) strayed(o outcome) {
	d.e.strays.remove(d.id, o.ordinal)
	select {
	case <-d.gone:
	default:
		return // the outcome is in its pool
	}
	now := d.e.driver(d.id)
	if now != nil && now.post(func(m *mail) { m.input.outcomes = append(m.input.outcomes, o) }) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.e.opt.Lease)
	defer cancel()
	if err := d.e.foldAlone(ctx, d.id, input{outcomes: []outcome{o}}, []bar{{ordinal: o.ordinal}}); err != nil {
		d.e.opt.Logger.WarnContext(ctx, "late outcome is not in the log", "plan", d.id, "agent", o.agent, "error", err)
	}
}

// foldAlone takes in what happened to a plan that nobody drives; nothing is started. It returns ErrConflict when another
// engine owns the plan.
func (e *Engine) foldAlone(ctx context.Context, id string, in input, left []bar) error {
	e.alone.Lock() // or two of them would take the plan from each other
	defer e.alone.Unlock()
	ctx, cancel := context.WithTimeout(ctx, storeLimit) // the others wait
	defer cancel()
	row, err := e.store.Plan(ctx, id)
	if err != nil {
		return err
	}
	owners, err := e.owners(ctx)
	if err != nil {
		return err
	}
	if owner := row.Progress.Owner; !e.mayOwn(&row, owners) || e.with.Leaser == nil && owner != "" && owner != e.opt.Name {
		return errOwned(&row)
	}
	x := e.newSession(id, row.Epoch)
	x.left, x.calls.draining = left, true
	x.hold(in)
	for again := true; again && err == nil && !x.held.empty(); { // orders come first, and others may commit
		_, again, err = x.turn(ctx, e.now(), input{})
	}
	e.changed(id)
	return err
}
