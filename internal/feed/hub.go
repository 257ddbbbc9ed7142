package feed

import "sync"

// Hub wakes goroutines of this process that wait for a change of a plan. It may wake one too often,
// but never misses a change that comes after Watch. The zero value is ready to use; it is safe for
// concurrent use.
type Hub struct {
	mu    sync.Mutex
	plans map[string]map[chan struct{}]struct{}
	any   map[chan struct{}]struct{}
}

// Watch returns a channel that gets a value when a plan changes. An empty plan means any plan.
// Changes that the caller has not read yet are one value. Call stop once, when the channel is not
// needed any more.
func (h *Hub) Watch(plan string) (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	set := h.set(plan)
	set[ch] = struct{}{}
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(set, ch)
		if plan != "" && len(set) == 0 {
			delete(h.plans, plan)
		}
	}
}

func (h *Hub) set(plan string) map[chan struct{}]struct{} {
	if plan == "" {
		if h.any == nil {
			h.any = map[chan struct{}]struct{}{}
		}
		return h.any
	}
	if h.plans == nil {
		h.plans = map[string]map[chan struct{}]struct{}{}
	}
	if h.plans[plan] == nil {
		h.plans[plan] = map[chan struct{}]struct{}{}
	}
	return h.plans[plan]
}

// Tell wakes those who watch the plan, and those who watch any plan. It does not wait.
func (h *Hub) Tell(plan string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	wake(h.plans[plan])
	wake(h.any)
}

// TellPlan wakes those who watch the plan only. It is for progress of a plan, which does not
// concern the others.
func (h *Hub) TellPlan(plan string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	wake(h.plans[plan])
}

func wake(set map[chan struct{}]struct{}) {
	for ch := range set {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
