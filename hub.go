package ota

import "sync"

// hub tells whoever waits in this process that a plan has changed. It may tell too often, and never too seldom: a
// waiter is told of every change after it asked.
type hub struct {
	mu    sync.Mutex
	plans map[string]map[chan struct{}]struct{}
	any   map[chan struct{}]struct{}
}

// watch returns a channel that gets a value when the plan changes, or any plan when id is empty.
func (h *hub) watch(id string) (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	set := h.set(id)
	set[ch] = struct{}{}
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(set, ch)
		if id != "" && len(set) == 0 {
			delete(h.plans, id)
		}
	}
}

func (h *hub) set(id string) map[chan struct{}]struct{} {
	if id == "" {
		if h.any == nil {
			h.any = map[chan struct{}]struct{}{}
		}
		return h.any
	}
	if h.plans == nil {
		h.plans = map[string]map[chan struct{}]struct{}{}
	}
	if h.plans[id] == nil {
		h.plans[id] = map[chan struct{}]struct{}{}
	}
	return h.plans[id]
}

// tell tells everybody.
func (h *hub) tell(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	wake(h.plans[id])
	wake(h.any)
}

// tellPlan tells those who wait for this plan: that it went on is nothing that others would look for.
func (h *hub) tellPlan(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	wake(h.plans[id])
}

func wake(set map[chan struct{}]struct{}) {
	for ch := range set {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
