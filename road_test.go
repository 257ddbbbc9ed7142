package ota

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every state has a road out. The test explores what a plan and its rollback plan can become together, breadth first, over
// verbs and events in memory. From every pair that it finds, the engine by itself, or a verb that is legal, leads on to an end.

// first is a chooser that leaves nothing to chance.
type first struct{}

func (first) pick(int) int { return 0 }

// roads are what may happen next; each reports whether it could.
var roads = []struct {
	name string
	run  func(w *world, source, back string) bool
}{
	{"the engine looks", func(w *world, _, _ string) bool { w.drive(w.procs[0]); return true }},
	{"time passes", func(w *world, _, _ string) bool { w.advance(w.procs[0]); return true }},
	{"a call succeeds", func(w *world, _, _ string) bool { return w.outcome(15) }},
	{"a call fails", func(w *world, _, _ string) bool { return w.outcome(9) }},
	{"a call fails for now", func(w *world, _, _ string) bool { return w.outcome(0) }},
	{"the engine dies", func(w *world, _, _ string) bool { w.crash(w.procs[0]); return true }},
	{"start", onSource(sayOne(VerbStart))},
	{"pause", onSource(sayOne(VerbPause))},
	{"resume", onSource(sayOne(VerbResume))},
	{"cancel", onSource(sayOne(VerbCancel))},
	{"promote", onSource(sayOne(VerbPromote))},
	{"retry", onSource(sayOne(VerbRetry))},
	{"create rollback", onSource(sayOne(VerbCreateRollback))},
	{"rollback", onSource(sayOne(VerbRollback))},
	{"start of the rollback plan", onBack(sayOne(VerbStart))},
	{"pause of the rollback plan", onBack(sayOne(VerbPause))},
	{"resume of the rollback plan", onBack(sayOne(VerbResume))},
	{"cancel of the rollback plan", onBack(sayOne(VerbCancel))},
	{"retry of the rollback plan", onBack(sayOne(VerbRetry))},
	{"a start of the rollback plan alone, as an older version could store it", onBack(func(w *world, id string) error {
		w.older = true
		_, err := w.engine.apply(w.ctx, id, VerbStart, Request{}, (*command).start)
		return err
	})},
	{"a Rollback that dies after its first write", onSource(dying(VerbRollback))},
	{"a CreateRollback that dies after its first write", onSource(dying(VerbCreateRollback))},
	{"a Cancel of the rollback plan that dies after its first write", onBack(dying(VerbCancel))},
}

func onSource(say func(*world, string) error) func(w *world, source, back string) bool {
	return func(w *world, source, _ string) bool { return say(w, source) == nil }
}

func onBack(say func(*world, string) error) func(w *world, source, back string) bool {
	return func(w *world, _, back string) bool { return back != "" && say(w, back) == nil }
}

// sayOne says a verb in the way that is most likely to be accepted.
func sayOne(v Verb) func(*world, string) error {
	return func(w *world, id string) error {
		p := &w.row(id).Progress
		var err error
		switch e, by := w.engine, (Request{}); v {
		case VerbStart:
			_, err = e.Start(w.ctx, id, by)
		case VerbPause:
			_, err = e.Pause(w.ctx, id, by)
		case VerbResume:
			_, err = e.Resume(w.ctx, id, Accept(p.Counts.Bad()), by)
		case VerbCancel:
			_, err = e.Cancel(w.ctx, id, false, by)
		case VerbPromote:
			_, err = e.Promote(w.ctx, id, p.Reached+1, by)
		case VerbRetry:
			_, err = e.Retry(w.ctx, id, nil, by)
		case VerbCreateRollback:
			_, err = e.CreateRollback(w.ctx, id, RollbackSpec{}, by)
		case VerbRollback:
			_, err = e.Rollback(w.ctx, id, RollbackSpec{}, by)
		}
		w.referee.created(w.plans()...)
		return err
	}
}

// dying says a verb whose process dies when its first write has landed.
func dying(v Verb) func(*world, string) error {
	return func(w *world, id string) error {
		s := &w.verbs
		s.saying, s.doomed, s.landed = true, 1, true
		err := sayOne(v)(w, id)
		if s.dead {
			err = nil
		}
		s.saying, s.dead, s.doomed = false, false, 0
		return err
	}
}

// outcome lets one call return, by the agent's new behaviour.
func (w *world) outcome(behave int) bool {
	p := w.procs[0]
	if len(p.calls) == 0 {
		return false
	}
	w.behave[p.calls[0].job.attempt().Agent] = behave
	w.deliver(p)
	return true
}

// back is the rollback plan that is tied to the first plan, or was last.
func (w *world) back() string {
	if ref := w.row(w.plan).Control.Rollback; ref != nil && slices.Contains(w.plans(), ref.ID) {
		return ref.ID
	}
	if plans := w.plans(); len(plans) > 1 {
		return plans[len(plans)-1]
	}
	return ""
}

// stand is what tells one state of the two plans from another.
func (w *world) stand() string {
	one := func(id string) string {
		row := w.row(id)
		c, p := &row.Control, &row.Progress
		return fmt.Sprintf("%s%s%s%s%s", statusOf(c, p), also(p.Counts.Running > 0, " in flight"), also(p.Counts.Waiting > 0, " waiting"),
			also(standing(c, p) != nil, " breached"), also(c.Paused != nil, " by an operator"))
	}
	s := one(w.plan) + also(w.row(w.plan).Progress.Batch > 0, ", first batch closed")
	ref := w.row(w.plan).Control.Rollback
	if ref != nil {
		s += ", frozen" + also(ref.Wanted != nil, " wanted") + also(ref.Started != nil, " started")
	}
	if id := w.back(); id != "" {
		s += " / " + one(id) + also(ref == nil, " untied")
	}
	return s
}

func also(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

// walk makes a world and goes along a path of roads; ok is false when the last one could not be gone.
func walk(policy Policy, path []int) (w *world, ok bool) {
	spec := Spec{ID: "plan", Name: "road", FromVersion: "1", ToVersion: "2", Shape: Shape{Size: 1}, Policy: policy}
	spec.Agents = listed([]Agent{{ID: "a00"}, {ID: "a01"}})
	w = worldOf(first{}, spec, 0)
	w.every = true
	w.behave["a00"], w.behave["a01"] = 15, 15
	ok = true
	for _, i := range path {
		ok = roads[i].run(w, w.plan, w.back())
	}
	return w, ok
}

// done reports whether both plans have ended.
func (w *world) done() bool {
	back := w.back()
	return w.row(w.plan).Status.Ended() && (back == "" || w.row(back).Status.Ended())
}

// out goes on until both plans have ended: by itself as far as that goes, then by one legal verb, and so on. It returns
// how, and reports whether it has come there.
func (w *world) ways() (how []string, ok bool) {
	for range 6 {
		w.settle()
		w.quiet = false
		w.referee.pairs() // what the engine owes, it has done
		if w.done() {
			return how, true
		}
		said := false
		for _, id := range []string{w.back(), w.plan} {
			if id == "" || said {
				continue
			}
			row := w.row(id)
			legal := legalNow(&row.Spec, &row.Control, &row.Progress, nil)
			for _, v := range []Verb{VerbResume, VerbStart, VerbPromote, VerbRollback, VerbCancel} {
				if !said && slices.Contains(legal, v) && sayOne(v)(w, id) == nil {
					said = true
					how = append(how, v.String())
				}
			}
		}
		if !said {
			return how, false
		}
	}
	return how, false
}

func TestEveryStateHasARoadOut(t *testing.T) {
	retry := RetryPolicy{Max: 1, Backoff: time.Minute}
	zero := 0.0
	pairs, all := map[string]bool{}, map[string]bool{}
	for name, policy := range map[string]Policy{
		"pauses":     {Concurrency: 1, FailureThreshold: &zero, Retry: retry},
		"rolls back": {Concurrency: 1, FailureThreshold: &zero, OnBreach: ActionRollback},
		"holds":      {Concurrency: 1, FailureThreshold: &zero, Hold: Hold{All: true}},
	} {
		if testing.Short() && name != "pauses" {
			continue
		}
		t.Run(name, func(t *testing.T) { explore(t, policy, pairs, all) })
	}
	for _, st := range statuses.words[1:] {
		if !slices.ContainsFunc(keysOf(all), func(s string) bool { return strings.HasPrefix(s, st) }) {
			t.Errorf("no plan was ever %s", st)
		}
		if st != StatusRolledBack.String() && st != StatusRollingBack.String() &&
			!slices.ContainsFunc(keysOf(pairs), func(s string) bool { return strings.HasSuffix(s, "/"+st) }) {
			t.Errorf("no rollback plan was ever %s", st)
		}
	}
	t.Logf("%d states, %d pairs of statuses: %v", len(all), len(pairs), keysOf(pairs))
}

func keysOf(m map[string]bool) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// explore finds every state that the roads lead to, and tries the way out of each.
func explore(t *testing.T, policy Policy, pairs, all map[string]bool) {
	t.Helper()
	const deepest = 14
	start, _ := walk(policy, nil)
	seen := map[string]bool{start.stand(): true}
	all[start.stand()] = true
	for next := [][]int{{}}; len(next) > 0; next = next[1:] {
		path := next[0]
		for i := range roads {
			longer := append(slices.Clone(path), i)
			w, ok := walk(policy, longer)
			if !ok || len(longer) > deepest || seen[w.stand()] {
				continue
			}
			stand := w.stand()
			seen[stand], all[stand] = true, true
			next = append(next, longer)
			pair := w.row(w.plan).Status.String() + "/"
			if back := w.back(); back != "" {
				pair += w.row(back).Status.String()
			}
			pairs[pair] = true
			if how, ok := w.ways(); !ok {
				t.Errorf("no road leads out of %q\n%s\nthe way there: %s\nsaid since: %v", stand, w.stand(), pathText(longer), how)
			}
		}
	}
}

func pathText(path []int) string {
	var s []string
	for _, i := range path {
		s = append(s, roads[i].name)
	}
	return strings.Join(s, ", ")
}
