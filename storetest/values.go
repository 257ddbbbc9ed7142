package storetest

import (
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
)

// hostile are texts that a careless store breaks: the engine lets every one of them through.
var hostile = []string{
	`it's "quoted" and \escaped\`,
	"100% of _all_",
	"a/../b?c=d#e",
	"naïve – 日本語 🚀 é",
	"'; DROP TABLE plans; --",
	" leading and trailing ",
	"NULL", "0", "{}", "$1", ":id",
	strings.Repeat("ü", 127) + "x", // 255 bytes
	"case", "CASE",
}

var valueCases = cases{
	{"TextsAreKeptAsTheyAre", func(e *env) {
		const rule = "texts of any letters, signs and up to 255 bytes are kept as they are"
		p := e.sample("p", len(hostile), 5)
		p.plan.Key, p.plan.Index = hostile[0], hostile[:4]
		p.first.Head.Owner = hostile[1]
		labels := map[string]string{}
		for i, text := range hostile {
			p.agents[i].ID, p.agents[i].Labels = text, map[string]string{text: text}
			labels[text] = text
		}
		p.first.Names = &ota.Names{Name: hostile[11], Labels: labels}
		e.create(p)
		got := e.everything("p")
		e.same(rule, got.Agents, p.agents)
		e.same(rule, got.Plan, p.row())
		for i, text := range hostile {
			byID := e.agents("p", ota.RowQuery{IDs: []string{text}})
			e.same("Rows finds an agent by its ID, whatever its letters", byID, p.agents[i:i+1])
			byLabel := e.agents("p", ota.RowQuery{Label: ota.Label{Name: text, Value: text}})
			e.same("Rows finds an agent by a label, whatever its letters", byLabel, p.agents[i:i+1])
			list := e.listed(ota.PlanQuery{Labels: map[string]string{text: text}})
			e.same("Plans finds a plan by a label, whatever its letters", list, []string{"p"})
		}
		e.same("Plans finds a plan by its key, whatever its letters", e.listed(ota.PlanQuery{Key: hostile[0]}), []string{"p"})
		e.same("Plans finds a plan by its owner, whatever its letters", e.listed(ota.PlanQuery{Owners: hostile[1:2]}), []string{"p"})
	}},
	{"TimesKeepUTCAndPrecision", func(e *env) {
		const rule = "times come back in UTC, with the precision that the store promises"
		e.made("p")
		for _, at := range []time.Time{e.now(7), time.Unix(0, 0).UTC(), time.Unix(-5, 0).UTC(), {}} {
			c := e.verb("p")
			c.Head = &ota.Head{Status: ota.StatusRunning, Since: at, Ended: at}
			c.Log.At = at
			e.commit(c)
			p, log := e.plan("p"), e.log("p", ota.LogQuery{Limit: 100})
			for _, got := range []time.Time{p.Head.Since, p.Head.Ended, log[len(log)-1].At} {
				e.that(rule, got.Equal(at), "got %v, want %v", got, at)
				_, offset := got.Zone()
				e.that(rule, offset == 0, "got %v, which is not UTC", got)
				e.that("a time that is zero stays zero", got.IsZero() == at.IsZero(), "got %v, want %v", got, at)
			}
		}
		created := e.plan("p").Created
		e.that(rule, created.Equal(e.now(0)), "got %v, want %v", created, e.now(0))
	}},
	{"LargeBytesAreKept", func(e *env) {
		const rule = "bytes of the sizes that the contract names are kept as they are"
		e.made("p")
		want := e.everything("p")
		c := e.changing(1)
		c.Parts.Control, c.Parts.Progress = some(2<<20, 1), some(100_000, 2)
		c.Log.Data = some(2<<20, 3)
		c.Rows[1].State = some(1<<20, 4)
		c.Head.Show = []byte(`{"text":"` + strings.Repeat("ü", 30_000) + `"}`)
		e.commit(c)
		want.apply(c)
		e.same(rule, e.everything("p"), want)
	}},
}
