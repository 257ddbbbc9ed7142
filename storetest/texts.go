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

// createPlaces are the texts of a Create.
var createPlaces = []textPlace{
	{"source", 255, func(p *sample, s string) { p.plan.Source = s }},
	{"key", 255, func(p *sample, s string) { p.plan.Key = s }},
	{"index", 255, func(p *sample, s string) {
		if s != "" {
			p.plan.Index = []string{s}
		}
	}},
	{"name", 255, func(p *sample, s string) { p.names().Name = s }},
	{"label", 255, func(p *sample, s string) { p.names().Labels[s] = "v" }},
	{"label's value", 255, func(p *sample, s string) { p.names().Labels["k"] = s }},
	{"owner", 255, func(p *sample, s string) { p.first.Head.Owner = s }},
	{"agent", 255, func(p *sample, s string) { p.agents[0].ID = s }},
	{"agent's label", 255, func(p *sample, s string) { p.agents[0].Labels = map[string]string{s: s} }},
}

// names are those that first returns.
func (p *sample) names() *ota.Names {
	if p.first.Names == nil {
		p.first.Names = &ota.Names{Labels: map[string]string{}}
	}
	return p.first.Names
}

// commitPlaces are the texts of a commit.
var commitPlaces = []struct {
	name  string
	given func(c *ota.Commit, text string)
}{
	{"name", func(c *ota.Commit, s string) { c.Names = &ota.Names{Name: s} }},
	{"label", func(c *ota.Commit, s string) { c.Names = &ota.Names{Labels: map[string]string{s: s}} }},
	{"owner", func(c *ota.Commit, s string) { c.Head = &ota.Head{Owner: s} }},
}

// eachText calls f with every odd text, and whether a place that keeps so many bytes has to keep
// it.
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
			err := e.make(p, p.rows())
			if !e.took(about, must, text, err) {
				e.absent("a refused Create leaves nothing", p.plan.ID)
				return
			}
			got := e.everything(p.plan.ID)
			e.exactly(about, text, got.Plan, p.row())
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
				if len(text) > 255 {
					continue
				}
				before := e.everything(id)
				c := e.owner(id)
				place.given(&c, text)
				_, err := e.store.Commit(e.ctx, c)
				if !e.took(place.name, must(255), text, err) {
					e.same("a refused commit changes nothing", e.everything(id), before)
					continue
				}
				before.apply(c)
				e.exactly(place.name, text, e.plan(id), before.Plan)
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
			for _, q := range []ota.PlanQuery{
				{Source: text}, {Key: text}, {Labels: map[string]string{text: text}}, {Owners: []string{text}}, {Search: text},
			} {
				page, err := e.store.Plans(e.ctx, q)
				e.ok("Plans answers, whatever the letters", err)
				e.that("Plans finds nothing under a text that no plan has", len(page.Items) == 0, "got %d plans for %+q", len(page.Items), text)
			}
			got := e.agents("p", ota.RowQuery{IDs: []string{p.agents[1].ID, text}})
			e.same("Rows finds those of the IDs that the plan has, whatever the others", got, p.agents[1:2])
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

// took reports whether a write with a text was made. One that was not has to be refused for good,
// and only where the text need not be kept.
func (e *env) took(place string, must bool, text string, err error) bool {
	if err == nil {
		return true
	}
	e.that(ruleText, !must, "the %s %+q: got error %v", place, text, err)
	e.that(ruleRefuses, errors.Is(err, ota.ErrRefused), "the %s %+q: got error %v", place, text, err)
	return false
}

// exactly compares two values letter by letter: JSON, by which same compares, would make two texts
// equal that are not.
func (e *env) exactly(place, text string, got, want any) {
	e.that(ruleRefuses+", and "+ruleText, literal(got) == literal(want), "the %s %+q:\n\tgot  %s\n\twant %s", place, text, literal(got), literal(want))
}

// literal shows a value with its texts as Go has them. Nil and empty are alike, and so are two
// forms of one time.
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
