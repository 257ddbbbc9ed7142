//go:build unix

package crashtest

import (
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/seed-19b57ce3/ota"
)

// model is a plan: its status, and its Control number.
type model struct {
	status  ota.Status
	control uint64
}

// drained is what the plan becomes without a verb, once nothing is in flight. The end changes the number, a pause does
// not.
func (m model) drained() (model, bool) {
	switch m.status {
	case ota.StatusPausing:
		return model{ota.StatusPaused, m.control}, true
	case ota.StatusCanceling:
		return model{ota.StatusCanceled, m.control + 1}, true
	}
	return m, false
}

// becomes lists the statuses to which a verb leads: the table of docs/states.md, and the verbs that already took effect.
var becomes = map[string]map[ota.Status][]ota.Status{
	"start": {ota.StatusPending: {ota.StatusRunning}, ota.StatusRunning: {ota.StatusRunning}},
	"pause": {
		ota.StatusRunning: {ota.StatusPausing, ota.StatusPaused},
		ota.StatusPausing: {ota.StatusPausing}, ota.StatusPaused: {ota.StatusPaused},
	},
	"resume": {
		ota.StatusPausing: {ota.StatusRunning}, ota.StatusPaused: {ota.StatusRunning},
		ota.StatusRunning: {ota.StatusRunning},
	},
	"cancel": {
		ota.StatusPending:   {ota.StatusCanceled},
		ota.StatusRunning:   {ota.StatusCanceling, ota.StatusCanceled},
		ota.StatusPausing:   {ota.StatusCanceling, ota.StatusCanceled},
		ota.StatusPaused:    {ota.StatusCanceling, ota.StatusCanceled},
		ota.StatusCanceling: {ota.StatusCanceling}, ota.StatusCanceled: {ota.StatusCanceled},
	},
}

// said lists what a plan that is m may be once it has answered a verb, or a read, with out. None: it does not answer that.
//
// A read, a refusal and a verb that already took effect answer exactly. A verb that changes the plan may answer canceling
// although the last call has returned before it: then its own commit was the end, and the number changed once.
func (m model) said(verb string, out heard) []model {
	legal := becomes[verb][m.status]
	switch {
	case out.refused:
		if len(legal) == 0 && verb != "read" && out.status == m.status {
			return []model{m}
		}
	case verb == "read" || out.status == m.status:
		if out.model == m && (verb == "read" || slices.Contains(legal, m.status)) {
			return []model{m}
		}
	case slices.Contains(legal, out.status) && out.control == m.control+1:
		if out.status == ota.StatusCanceling {
			return []model{out.model, {ota.StatusCanceled, out.control}}
		}
		return []model{out.model}
	}
	return nil
}

var planModel = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{model{ota.StatusPending, 1}} },
	Step: func(state, input, output any) (next []any) {
		m, in, out := state.(model), input.(saying), output.(heard)
		for _, n := range m.said(in.verb, out) {
			next = append(next, n)
		}
		if m, ok := m.drained(); ok {
			for _, n := range m.said(in.verb, out) {
				next = append(next, n)
			}
		}
		return next
	},
}).ToModel()

// The model takes these histories of one client for right, and for wrong as soon as one answer differs.
func TestPlanModelBites(t *testing.T) {
	type step struct {
		verb string
		out  heard
	}
	ok := func(verb string, st ota.Status, control uint64) step {
		return step{verb, heard{model: model{st, control}}}
	}
	no := func(verb string, st ota.Status) step {
		return step{verb, heard{refused: true, model: model{status: st}}}
	}
	begun := []step{ok("read", ota.StatusPending, 1), ok("start", ota.StatusRunning, 2)}
	pausing := append(begun[:2:2], ok("pause", ota.StatusPausing, 3))
	canceling := append(begun[:2:2], ok("cancel", ota.StatusCanceling, 3))
	seen := append(canceling[:3:3], ok("read", ota.StatusCanceling, 3))
	for _, c := range []struct {
		name   string
		before []step
		right  []step
		wrong  []step
	}{
		{
			"pending", nil,
			[]step{ok("cancel", ota.StatusCanceled, 2), no("pause", ota.StatusPending)},
			[]step{ok("cancel", ota.StatusCanceling, 2), ok("pause", ota.StatusPaused, 2), no("start", ota.StatusPending)},
		},
		{
			"running", begun,
			[]step{ok("pause", ota.StatusPaused, 3), ok("start", ota.StatusRunning, 2), ok("cancel", ota.StatusCanceled, 3)},
			[]step{ok("read", ota.StatusRunning, 3), ok("start", ota.StatusRunning, 3), ok("pause", ota.StatusPausing, 2), no("pause", ota.StatusRunning)},
		},
		{
			"pausing", pausing,
			[]step{ok("read", ota.StatusPaused, 3), ok("pause", ota.StatusPaused, 3), ok("resume", ota.StatusRunning, 4)},
			[]step{ok("read", ota.StatusPaused, 4), ok("pause", ota.StatusPausing, 4), ok("resume", ota.StatusRunning, 3)},
		},
		{
			"paused", append(pausing[:3:3], ok("read", ota.StatusPaused, 3)),
			[]step{ok("read", ota.StatusPaused, 3), no("start", ota.StatusPaused)},
			[]step{ok("read", ota.StatusPausing, 3), ok("pause", ota.StatusPausing, 3), no("start", ota.StatusPausing)},
		},
		{
			"canceling, by the answer of Cancel", canceling,
			[]step{ok("read", ota.StatusCanceled, 3), ok("read", ota.StatusCanceled, 4), no("pause", ota.StatusCanceled)},
			[]step{ok("read", ota.StatusCanceled, 5), ok("cancel", ota.StatusCanceling, 4)},
		},
		{
			"canceling, by a read", seen,
			[]step{ok("read", ota.StatusCanceled, 4), ok("cancel", ota.StatusCanceling, 3), ok("cancel", ota.StatusCanceled, 4)},
			[]step{ok("read", ota.StatusCanceled, 3), ok("cancel", ota.StatusCanceled, 3), no("cancel", ota.StatusCanceling)},
		},
		{
			"canceled", append(seen[:4:4], ok("read", ota.StatusCanceled, 4)),
			[]step{ok("cancel", ota.StatusCanceled, 4), no("resume", ota.StatusCanceled)},
			[]step{ok("read", ota.StatusCanceled, 5), ok("read", ota.StatusCanceling, 3), ok("cancel", ota.StatusCanceled, 5)},
		},
	} {
		takes := func(last step) bool {
			var history []porcupine.Operation
			for i, s := range append(slices.Clone(c.before), last) {
				history = append(history, porcupine.Operation{Input: saying{"p", s.verb}, Output: s.out, Call: int64(2 * i), Return: int64(2*i + 1)})
			}
			return porcupine.CheckOperations(planModel, history)
		}
		for _, s := range c.right {
			if !takes(s) {
				t.Errorf("%s: it refuses %v", c.name, s)
			}
		}
		for _, s := range c.wrong {
			if takes(s) {
				t.Errorf("%s: it takes %v", c.name, s)
			}
		}
	}
}
