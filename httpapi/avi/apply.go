package avi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-19b57ce3/ota"
)

// wish is what a patch makes of a plan.
type wish struct {
	kept   map[string]any // what the plan is to keep for clients
	action *ota.Action    // what is to happen on a breach; nil: as now
	resume *bool          // resume, and whether the failed are to be skipped; nil: do not
}

// applying is a patch being applied to what a plan shows now. Nothing is changed by it.
type applying struct {
	l       *look
	kept    map[string]any
	actions map[string]ota.Action   // by field: params, seg_params
	resumes map[string]resumeOption // by field
}

type resumeOption struct {
	skip   bool
	action *ota.Action
}

// apply says what the plan is to become, or refuses the whole patch.
func (p *patch) apply(l *look) (wish, error) {
	a := &applying{l: l, kept: maps.Clone(l.kept), actions: map[string]ota.Action{}, resumes: map[string]resumeOption{}}
	if a.kept == nil {
		a.kept = map[string]any{}
	}
	for _, name := range slices.Sorted(maps.Keys(p.add)) {
		if err := a.set(name, p.add[name], true); err != nil {
			return wish{}, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.replace)) {
		if err := a.set(name, p.replace[name], false); err != nil {
			return wish{}, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.remove)) {
		a.remove(name, p.remove[name])
	}
	return a.result()
}

// set is add and replace, which differ for lists only. A value that the object shows already
// changes nothing: so a client may send back what it has read.
func (a *applying) set(name string, v any, add bool) error {
	f := document[name]
	if f.told {
		have, err := a.l.field(name)
		if err == nil && !same(have, v) {
			err = refuse(http.StatusBadRequest, "%s cannot be set: the engine tells it", name)
		}
		return err
	}
	if f.shape == params {
		a.setParams(name, v.(map[string]any)) //nolint:forcetypeassert // its shape says so
		return nil
	}
	if entries, ok := v.([]any); ok && add {
		have, _ := a.kept[name].([]any)
		if len(have)+len(entries) > maxItems {
			return refuse(http.StatusBadRequest, "%s would have more than %d entries", name, maxItems)
		}
		v = slices.Concat(have, entries)
	}
	if _, kept := a.kept[name]; !kept {
		have, err := a.l.field(name)
		if err != nil || have != nil && same(have, v) {
			return err
		}
	}
	a.kept[name] = v
	return nil
}

// setParams takes out of params what means something to the Engine, and keeps the rest.
func (a *applying) setParams(name string, v map[string]any) {
	rest := maps.Clone(v)
	delete(a.resumes, name)
	if o, ok := v["se_group_options"].(map[string]any); ok {
		if word, ok := o["action_on_error"].(string); ok {
			a.actions[name] = actionOf(word)
			o = maps.Clone(o)
			delete(o, "action_on_error")
		}
		rest["se_group_options"] = o
		if len(o) == 0 {
			delete(rest, "se_group_options")
		}
	}
	if o, ok := v["se_group_resume_options"].(map[string]any); ok {
		r := resumeOption{}
		r.skip, _ = o["skip_suspended"].(bool)
		if word, ok := o["action_on_error"].(string); ok {
			action := actionOf(word)
			r.action = &action
		}
		a.resumes[name] = r
	}
	a.kept[name] = rest
	if name == "params" && len(rest) == 0 { // it is shown in any case
		delete(a.kept, name)
	}
}

func (a *applying) remove(name string, v any) {
	switch what := v.(type) {
	case []any:
		have, _ := a.kept[name].([]any)
		left := slices.DeleteFunc(slices.Clone(have), func(e any) bool {
			return slices.ContainsFunc(what, func(gone any) bool { return matches(e, gone) })
		})
		if have != nil {
			a.kept[name] = left
		}
	case []string:
		a.removeMembers(name, what)
	default:
		if document[name].shape == params {
			a.removeMembers(name, slices.Collect(maps.Keys(params.fields)))
			delete(a.kept, name)
			return
		}
		delete(a.kept, name)
	}
}

func (a *applying) removeMembers(name string, members []string) {
	have, kept := a.kept[name].(map[string]any)
	if name != "params" && !kept {
		return
	}
	left := maps.Clone(have)
	for _, m := range members {
		delete(left, m)
		switch m {
		case "se_group_options":
			a.actions[name] = ota.ActionPause
		case "se_group_resume_options":
			delete(a.resumes, name)
		}
	}
	switch {
	case name == "params" && len(left) == 0:
		delete(a.kept, name)
	case kept:
		a.kept[name] = left
	}
}

// matches reports whether an entry of a list is the one that a delete means: equal in everything
// that is given.
func matches(entry, given any) bool {
	want, ok := given.(map[string]any)
	have, same := entry.(map[string]any)
	if !ok || !same {
		return entry == given
	}
	for k, v := range want {
		if h, ok := have[k]; !ok || h != v { // members of entries are texts
			return false
		}
	}
	return true
}

// result is the wish, once everything was applied that a client asks for.
func (a *applying) result() (wish, error) {
	w := wish{kept: a.kept}
	var said []string // where an action was named
	choose := func(where string, action ota.Action) error {
		if w.action != nil && *w.action != action {
			return refuse(http.StatusBadRequest, "%s and %s disagree about action_on_error", strings.Join(said, ", "), where)
		}
		w.action, said = &action, append(said, where)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(a.actions)) {
		if err := choose(name+".se_group_options", a.actions[name]); err != nil {
			return w, err
		}
	}
	p := a.l.plan
	if suspended(p) {
		for _, name := range slices.Sorted(maps.Keys(a.resumes)) {
			r := a.resumes[name]
			if w.resume != nil && *w.resume != r.skip {
				return w, refuse(http.StatusBadRequest, "params and seg_params disagree about skip_suspended")
			}
			w.resume = &r.skip
			if r.action == nil {
				continue
			}
			if err := choose(name+".se_group_resume_options", *r.action); err != nil {
				return w, err
			}
		}
	}
	if w.action != nil && *w.action == p.Policy.OnBreach {
		w.action = nil
	}
	if w.action != nil && !slices.Contains(ota.LegalVerbs(p.Status), ota.VerbEdit) {
		return w, refuse(http.StatusBadRequest, "action_on_error cannot be changed: the plan is %s", p.Status)
	}
	if w.resume != nil && p.RollbackPlan != "" {
		return w, refuse(http.StatusBadRequest, "the plan cannot be resumed: its rollback plan %s exists; cancel that one first", p.RollbackPlan)
	}
	return w, nil
}

// suspended reports whether the resume options have something to resume.
func suspended(p *ota.Plan) bool {
	stopped := p.Status == ota.StatusPaused || p.Status == ota.StatusPausing
	return stopped && (len(p.Breaches) > 0 || p.RollbackPlan != "")
}

func actionOf(word string) ota.Action {
	switch word {
	case onErrorRollback:
		return ota.ActionRollback
	case onErrorContinue:
		return ota.ActionContinue
	default:
		return ota.ActionPause
	}
}

func actionWord(a ota.Action) string {
	switch a {
	case ota.ActionRollback:
		return onErrorRollback
	case ota.ActionContinue:
		return onErrorContinue
	case ota.ActionPause:
		return onErrorSuspend
	}
	return fmt.Sprintf("action %d", a)
}
