package storetest

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/kit"
)

const (
	ruleText    = "a text of UTF-8 without NUL is kept exactly, wherever it is"
	ruleRefuses = "a text that is not kept exactly is refused with ErrRefused"
)

// textPlace is a place of a plan that is created, or of a commit, where a text may be.
type textPlace struct {
	name  string
	most  int // bytes that have to be kept
	given func(p *sample, text string)
}

var createPlaces = []textPlace{
	{"source", 255, func(p *sample, s string) { p.plan.Source = s }},
	{"request key", 255, func(p *sample, s string) { p.plan.RequestKey = s }},
	{"fingerprint", 255, func(p *sample, s string) { p.plan.Fingerprint = s }},
	{"label", 255, func(p *sample, s string) { p.plan.Labels[s] = "v" }},
	{"label's value", 255, func(p *sample, s string) { p.plan.Labels["k"] = s }},
	{"name", 255, func(p *sample, s string) { p.created.Spec.Name = s }},
	{"from version", 255, func(p *sample, s string) { p.created.Spec.FromVersion, p.created.Spec.FromRelease = s, s }},
	{"to version", 255, func(p *sample, s string) { p.created.Spec.ToVersion, p.created.Spec.ToRelease = s, s }},
	{"maker", 255, func(p *sample, s string) { p.created.Spec.CreatedBy = s }},
	{"label of the spec", 255, func(p *sample, s string) { p.created.Spec.Labels[s] = s }},
	{"warning", 4 << 10, func(p *sample, s string) { p.created.Spec.Warnings = []string{s} }},
	{"component", 255, func(p *sample, s string) { p.created.Spec.Components = []string{s} }},
	{"annotation", 255, func(p *sample, s string) { p.created.Control.Annotations[s] = "v" }},
	{"annotation's value", 64 << 10, func(p *sample, s string) { p.created.Control.Annotations["k"] = s }},
	{"budget", 255, func(p *sample, s string) { p.created.Control.Policy.Budget = ota.Budget{Label: s, Max: 1} }},
	{"reason of a rollback", 255, func(p *sample, s string) {
		p.created.Control.Rollback = &ota.RollbackRef{ID: "r", Spec: ota.RollbackSpec{Name: s}, Frozen: ota.Audit{Actor: s, Reason: s}}
	}},
	{"breach", 255, func(p *sample, s string) { p.created.Progress.Breaches = []ota.Breach{{Number: 1, Text: s}} }},
	{"owner", 255, func(p *sample, s string) { p.created.Progress.Owner = s }},
	{"batch", 255, func(p *sample, s string) { p.created.Batches[0].Name = s }},
	{"agent", 255, func(p *sample, s string) {
		if s != "" {
			p.agents[0].Agent.ID = s
		}
	}},
	{"agent's version", 255, func(p *sample, s string) { p.agents[0].Agent.Version, p.agents[0].Agent.Target = s, s }},
	{"agent's label", 255, func(p *sample, s string) { p.agents[0].Agent.Labels = map[string]string{s: s} }},
	{"agent's task", 255, func(p *sample, s string) {
		c := ota.Component{Name: s, ID: s, Instance: s, Node: s, Owner: s}
		p.agents[0].Agent.Tasks = []ota.TaskSpec{{Component: c, FromVersion: s, FromRelease: s, ToVersion: s, ToRelease: s}}
	}},
	{"error", 4 << 10, func(p *sample, s string) { p.agents[0].State.Task.More = &ota.TaskMore{Error: s} }},
	{"reported version", 255, func(p *sample, s string) {
		p.agents[0].State.Task.More = &ota.TaskMore{Version: s}
		p.agents[0].State.More = &ota.AgentMore{Previous: s}
	}},
}

// commitPlace is a place of a commit.
type commitPlace struct {
	name  string
	most  int
	given func(c *ota.Commit, text string)
}

var commitPlaces = []commitPlace{
	{"request", 255, func(c *ota.Commit, s string) { c.Request = s }},
	{"annotation", 64 << 10, func(c *ota.Commit, s string) { c.NewControl = &ota.Control{Annotations: map[string]string{"k": s}} }},
	{"reason", 255, func(c *ota.Commit, s string) { c.NewControl = &ota.Control{Paused: &ota.Audit{Actor: s, Reason: s}} }},
	{"breach", 255, func(c *ota.Commit, s string) { c.NewProgress = &ota.Progress{Breaches: []ota.Breach{{Text: s}}} }},
	{"batch", 255, func(c *ota.Commit, s string) { c.Batches = []ota.BatchRow{{Index: 1, First: 2, Size: 2, Name: s}} }},
	{"many batches", 255, func(c *ota.Commit, s string) {
		for i := range 6 {
			c.Batches = append(c.Batches, ota.BatchRow{Index: i, First: i, Size: 1, Name: s})
		}
	}},
	{"error", 4 << 10, func(c *ota.Commit, s string) {
		c.Agents = []ota.AgentRow{{State: ota.AgentState{Task: ota.TaskState{More: &ota.TaskMore{Error: s}}}}}
	}},
	{"record", 64 << 10, func(c *ota.Commit, s string) { c.Log = []byte("r" + s) }},
}

// eachText calls f with every odd text, and whether a place that keeps so many bytes has to keep it.
func eachText(f func(text string, must func(most int) bool)) {
	texts := kit.Texts()
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		text := texts[name]
		f(text, func(most int) bool { return kit.Storable(text) && len(text) <= most })
	}
}

var textCases = cases{
	{"OfAPlan", func(e *env) {
		n := 0
		try := func(about string, must bool, text string, places ...textPlace) {
			n++
			p := e.sample(fmt.Sprint("p", n), 3, 1)
			for _, place := range places {
				place.given(p, text)
			}
			err := e.store.Create(e.ctx, p.plan, p.rows())
			if !e.took(about, must, text, err) {
				e.absent("a refused Create leaves nothing", p.plan.ID)
				return
			}
			got := e.everything(p.plan.ID)
			e.exactly(about, text, got.Plan, p.row())
			e.exactly(about, text, got.Batches, p.created.Batches)
			e.exactly(about, text, got.Agents, p.agents)
		}
		eachText(func(text string, must func(int) bool) {
			if must(255) {
				try("everywhere", true, text, createPlaces...)
				return
			}
			for _, place := range createPlaces {
				if len(text) <= place.most {
					try(place.name, must(place.most), text, place)
				}
			}
		})
	}},
	{"OfACommit", func(e *env) {
		n := 0
		eachText(func(text string, must func(int) bool) {
			n++
			id := fmt.Sprint("p", n) // one for each text, so that few records have to be read again
			e.create(e.sample(id, 6, 1))
			for _, place := range commitPlaces {
				if len(text) > place.most {
					continue
				}
				before := e.everything(id)
				c := e.owner(id)
				place.given(&c, text)
				_, err := e.store.Commit(e.ctx, c)
				if !e.took(place.name, must(place.most), text, err) {
					e.same("a refused commit changes nothing", e.everything(id), before)
					continue
				}
				got := e.everything(id)
				last := got.Log[len(got.Log)-1]
				e.exactly(place.name, text, []string{last.Request, string(last.Data)}, []string{c.Request, string(c.Log)})
				if c.NewControl != nil {
					e.exactly(place.name, text, got.Plan.Control, *c.NewControl)
				}
				if c.NewProgress != nil {
					e.exactly(place.name, text, got.Plan.Progress, *c.NewProgress)
				}
				for _, b := range c.Batches {
					e.exactly(place.name, text, got.Batches[b.Index], b)
				}
				for _, a := range c.Agents {
					e.exactly(place.name, text, got.Agents[a.Ordinal].State, a.State)
				}
			}
		})
	}},
	{"OfAQuestion", func(e *env) {
		p := e.made("p")
		eachText(func(text string, _ func(int) bool) {
			if text == "" {
				return
			}
			_, err := e.store.Plan(e.ctx, text)
			e.is("Plan of an ID that no plan has is ErrNotFound, whatever its letters", err, ota.ErrNotFound)
			for _, q := range []ota.PlanQuery{{Source: text}, {Key: text}, {Labels: map[string]string{text: text}}} {
				page, err := e.store.Plans(e.ctx, q)
				e.ok("Plans answers, whatever the letters", err)
				e.that("Plans finds nothing under a text that no plan has", len(page.Items) == 0, "got %d plans for %+q", len(page.Items), text)
			}
			got := e.agents("p", ota.RowQuery{IDs: []string{p.agents[1].Agent.ID, text}})
			e.same("Agents finds those of the IDs that the plan has, whatever the others", got, p.agents[1:2])
		})
	}},
	{"OfAMessage", func(e *env) {
		box, ok := ota.As[ota.Inbox](e.store)
		if !ok {
			e.skip("the store is no ota.Inbox")
		}
		e.made("p")
		after := uint64(0)
		eachText(func(text string, must func(int) bool) {
			err := box.Post(e.ctx, "p", []ota.Message{{ID: "m" + text, Body: []byte(text)}})
			if !e.took("message", must(254), text, err) {
				return
			}
			got, err := box.Read(e.ctx, "p", after, 0)
			e.ok("Read answers", err)
			e.that(ruleText, len(got) == 1 && got[0].ID == "m"+text && string(got[0].Body) == text, "got %v for %+q", got, text)
			after = got[0].Number
		})
	}},
	{"OfALease", func(e *env) {
		leaser, ok := ota.As[ota.Leaser](e.store)
		if !ok {
			e.skip("the store is no ota.Leaser")
		}
		eachText(func(text string, must func(int) bool) {
			if len(text) > 255 || text == "" || !e.took("engine", must(255), text, leaser.Renew(e.ctx, text, time.Hour)) {
				return
			}
			owners, err := leaser.Owners(e.ctx)
			e.ok("Owners answers", err)
			e.that(ruleText, slices.Contains(owners, text), "got %+q without %+q", owners, text)
			e.ok("Renew ends a lease", leaser.Renew(e.ctx, text, 0))
		})
	}},
}

// took reports whether a write with a text was made. One that was not has to be refused for good, and only where the text
// need not be kept.
func (e *env) took(place string, must bool, text string, err error) bool {
	if err == nil {
		return true
	}
	e.that(ruleText, !must, "the %s %+q: got error %v", place, text, err)
	e.that(ruleRefuses, errors.Is(err, ota.ErrRefused), "the %s %+q: got error %v", place, text, err)
	return false
}

// exactly compares two values letter by letter: JSON, by which same compares, would make two texts equal that are not.
func (e *env) exactly(place, text string, got, want any) {
	e.that(ruleRefuses+", and "+ruleText, literal(got) == literal(want), "the %s %+q:\n\tgot  %s\n\twant %s", place, text, literal(got), literal(want))
}

// literal shows a value with its texts as Go has them. Nil and empty are alike, and so are two forms of one time.
func literal(v any) string {
	var b strings.Builder
	writeLiteral(&b, reflect.ValueOf(v))
	return b.String()
}

func writeLiteral(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		fmt.Fprintf(b, "%+q ", v.String())
	case reflect.Pointer:
		if !v.IsNil() {
			writeLiteral(b, v.Elem())
		}
	case reflect.Struct:
		if t, ok := reflect.TypeAssert[time.Time](v); ok {
			fmt.Fprint(b, t.UnixNano(), " ")
			return
		}
		for _, f := range v.Fields() {
			writeLiteral(b, f)
			b.WriteByte(';')
		}
	case reflect.Slice:
		for i := range v.Len() {
			writeLiteral(b, v.Index(i))
			b.WriteByte(',')
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(x, y reflect.Value) int { return strings.Compare(x.String(), y.String()) })
		for _, k := range keys {
			writeLiteral(b, k)
			writeLiteral(b, v.MapIndex(k))
		}
	default:
		fmt.Fprint(b, v, " ")
	}
}
