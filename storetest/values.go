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
		p.plan.RequestKey = hostile[0]
		p.plan.Fingerprint = hostile[1]
		for i, text := range hostile {
			p.agents[i].Agent = ota.AgentSpec{ID: text, Version: text, Target: text, Labels: map[string]string{text: text}}
			p.plan.Labels[text] = text
			p.created.Spec.Labels[text] = text
			p.created.Control.Annotations[text] = text
		}
		e.create(p)
		got := e.everything("p")
		e.same(rule, got.Agents, p.agents)
		e.same(rule, got.Plan, p.row())
		for i, text := range hostile {
			byID := e.agents("p", ota.RowQuery{IDs: []string{text}})
			e.same("Agents finds an agent by its ID, whatever its letters", byID, p.agents[i:i+1])
			page, err := e.store.Plans(e.ctx, ota.PlanQuery{Labels: map[string]string{text: text}})
			e.ok("Plans answers", err)
			e.that("Plans finds a plan by a label, whatever its letters", len(page.Items) == 1, "got %d plans for %q", len(page.Items), text)
		}
		byKey, err := e.store.Plans(e.ctx, ota.PlanQuery{Key: hostile[0]})
		e.ok("Plans answers", err)
		e.that("Plans finds a plan by its request key, whatever its letters", len(byKey.Items) == 1, "got %d plans", len(byKey.Items))
	}},
	{"TimesKeepUTCAndPrecision", func(e *env) {
		const rule = "times come back in UTC, with the precision that the store promises"
		e.made("p")
		c := e.changing(7)
		early := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
		c.NewProgress.EndedAt = early
		c.Batches[0].StartedAt = early
		c.Batches[0].ClosedAt = time.Time{}
		e.commit(c)
		p, b := e.plan("p"), e.batches("p")[2]
		for _, t := range []struct{ got, want time.Time }{
			{p.Spec.CreatedAt, e.now(0)},
			{p.Control.Started.At, e.now(7)},
			{p.Control.Rollback.Done, e.now(7)},
			{p.Progress.At, e.now(7)},
			{p.Progress.EndedAt, early},
			{p.Progress.Breaches[0].At, e.now(7)},
			{b.StartedAt, early},
			{b.FinishedAt, e.now(7)},
			{b.ClosedAt, time.Time{}},
		} {
			e.that(rule, t.got.Equal(t.want), "got %v, want %v", t.got, t.want)
			_, offset := t.got.Zone()
			e.that(rule, offset == 0, "got %v, which is not UTC", t.got)
			e.that("a time that is zero stays zero", t.got.IsZero() == t.want.IsZero(), "got %v, want %v", t.got, t.want)
		}
		state := e.agents("p", ota.RowQuery{From: 1, To: 2})[0].State
		e.same("times of tasks are kept to the nanosecond", state.Task.Started, c.Agents[0].State.Task.Started)
	}},
	{"LargeTextsAreKept", func(e *env) {
		p := e.made("p")
		c := e.owner("p")
		state := e.busy(1)
		state.Task.More = &ota.TaskMore{Error: strings.Repeat("e", 4<<10)}
		c.Agents = []ota.AgentRow{{Ordinal: 0, State: state}}
		c.NewControl = &ota.Control{Annotations: map[string]string{"a": strings.Repeat("b", 64<<10)}}
		c.Log = []byte(strings.Repeat("log", 400_000))
		e.commit(c)
		got := e.everything("p")
		e.same("errors of 4 KiB are kept", got.Agents[0].State, state)
		e.same("annotations of 64 KiB are kept", got.Plan.Control, c.NewControl)
		e.that("records of a megabyte are kept", string(got.Log[1].Data) == string(c.Log), "got %d bytes, want %d",
			len(got.Log[1].Data), len(c.Log))
		e.same("a large commit leaves other agents as they are", got.Agents[1:], p.agents[1:])
	}},
}
