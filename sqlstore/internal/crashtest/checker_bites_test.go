//go:build unix

package crashtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed-19b57ce3/ota"
)

// The checker finds nothing wrong with a plan that went well, and finds each of these.
func TestCheckerBites(t *testing.T) {
	s := story{ID: "tale", Kind: accept, Agents: 30, Batch: 10, Shape: 1}
	good, lines := uninterrupted(t, s), goodLines(t, s)
	if problems := check(good, lines); len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, c := range []struct {
		name, finds string
		spoil       func(h *history, lines *[]line)
	}{
		{"a record is missing", "has number", func(h *history, _ *[]line) { h.records = slices.Delete(h.records, 3, 4) }},
		{"a counter is wrong", "counts", func(h *history, _ *[]line) { h.plan.Counts.Succeeded-- }},
		{"a row is lost", "its rows make", func(h *history, _ *[]line) { h.agents[4].Status = ota.TaskPending }},
		{"a task is done twice", "had 2 effects", func(_ *history, l *[]line) { *l = append(*l, (*l)[len(*l)-1]) }},
		{"a call comes twice", "was called twice", func(_ *history, l *[]line) { *l = append(*l, (*l)[0]) }},
		{"a call was never committed", "but committed under", func(_ *history, l *[]line) { (*l)[0].Epoch = 7 }},
		{"an effect is missing", "had 0 effects", func(_ *history, l *[]line) {
			*l = slices.DeleteFunc(*l, func(x line) bool { return x.Effect && strings.HasSuffix(x.Agent, "-005") })
		}},
		{"a completed task starts", "which had ended", func(h *history, _ *[]line) {
			last := &h.records[len(h.records)-1]
			last.Events = append(slices.Clone(last.Events), ota.Event{Kind: ota.EventTaskStarted, Agent: h.agents[0].ID, Number: 2})
		}},
		{"a start after Pause", "the plan is held", func(h *history, _ *[]line) {
			h.records[1].Events = append(slices.Clone(h.records[1].Events), ota.Event{Kind: ota.EventPaused, Batch: -1})
		}},
		{"an attempt is repeated under its epoch", "and under", func(h *history, _ *[]line) {
			for i, r := range h.records {
				for _, e := range r.Events {
					if e.Kind == ota.EventTaskStarted {
						e.Kind = ota.EventTaskRepeated
						h.records[i].Events = append(slices.Clone(r.Events), e)
						return
					}
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, l := good, slices.Clone(lines)
			h.records, h.agents = slices.Clone(good.records), slices.Clone(good.agents)
			c.spoil(&h, &l)
			if found := fmt.Sprint(check(h, l)); !strings.Contains(found, c.finds) {
				t.Errorf("it finds %s, want %q", found, c.finds)
			}
		})
	}
}

// goodLines is what the fleet has recorded when nothing went wrong: the calls on record, each with its effect.
func goodLines(t *testing.T, s story) (lines []line) {
	k := newChecker(uninterrupted(t, s))
	k.log()
	for _, a := range k.h.agents {
		for n := 1; n <= a.Tasks[0].Attempts; n++ {
			c := call{Plan: s.ID, Agent: a.ID, Number: n}
			c.Epoch = k.starts[c.key()][0]
			lines = append(lines, line{call: c}, line{call: c, Effect: true})
		}
	}
	return lines
}
