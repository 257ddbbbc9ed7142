package httpapi

import (
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/duration"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// maxWindows bounds a list of windows.
const maxWindows = 100

// limits are the members of a policy that bound its time and pace.
func (e *policyEdit) limits() fields {
	return fields{
		"batchLimit":     e.wait(func(p *ota.Policy) *time.Duration { return &p.BatchLimit }),
		"planLimit":      e.wait(func(p *ota.Policy) *time.Duration { return &p.PlanLimit }),
		"maxConsecutive": e.count(func(p *ota.Policy) *int { return &p.MaxConsecutive }),
		"halve": e.with(
			e.d.truth(func(v bool) { e.add(func(p *ota.Policy) { p.Halve = v }) }),
			func(p *ota.Policy) { p.Halve = false }),
		"budget":  e.object(e.budget, func(p *ota.Policy) { p.Budget = ota.Budget{} }),
		"rate":    e.object(e.rate, func(p *ota.Policy) { p.Rate = ota.Rate{} }),
		"gate":    e.object(e.gate, func(p *ota.Policy) { p.Gate = ota.Gate{} }),
		"windows": e.with(field{read: e.windows}, func(p *ota.Policy) { p.Windows = nil }),
	}
}

// count is a number of agents, starts or answers.
func (e *policyEdit) count(of func(*ota.Policy) *int) field {
	return e.with(e.d.integer(0, 1_000_000, func(n int) { e.add(func(p *ota.Policy) { *of(p) = n }) }), func(p *ota.Policy) { *of(p) = 0 })
}

func (e *policyEdit) budget() fields {
	var label string
	text := e.d.text(&label)
	return fields{
		"label": e.with(field{read: func() error {
			err := text.read()
			v := label
			e.add(func(p *ota.Policy) { p.Budget.Label = v })
			return err
		}}, func(p *ota.Policy) { p.Budget.Label = "" }),
		"max": e.count(func(p *ota.Policy) *int { return &p.Budget.Max }),
	}
}

func (e *policyEdit) rate() fields {
	return fields{
		"starts": e.count(func(p *ota.Policy) *int { return &p.Rate.Starts }),
		"per":    e.wait(func(p *ota.Policy) *time.Duration { return &p.Rate.Per }),
	}
}

func (e *policyEdit) gate() fields {
	return fields{
		"every":           e.wait(func(p *ota.Policy) *time.Duration { return &p.Gate.Every }),
		"maxInconclusive": e.count(func(p *ota.Policy) *int { return &p.Gate.MaxInconclusive }),
		"maxErrors":       e.count(func(p *ota.Policy) *int { return &p.Gate.MaxErrors }),
	}
}

// windows replaces the whole list, as a merge patch does.
func (e *policyEdit) windows() error {
	list := []ota.Window{}
	err := e.d.Array(func(i int) error {
		if i == maxWindows {
			return newProblem("invalid", "", wire.Mistake{Pointer: e.d.Pointer(), Problem: "is one window too many", Allowed: "at most 100"})
		}
		var w ota.Window
		err := e.d.object(fields{
			"days": {read: func() error {
				day := e.d.integerOf(0, 6, "0 (Sunday) to 6 (Saturday)", func(n int) { w.Days = append(w.Days, time.Weekday(n)) })
				return e.d.Array(func(int) error { return day.read() })
			}},
			"start":  e.d.timeOfDay(func(v time.Duration) { w.Start = v }),
			"length": e.d.duration(nil, func(v time.Duration) { w.Length = v }),
			"zone":   e.d.text(&w.Zone),
			"margin": e.d.duration(nil, func(v time.Duration) { w.Margin = v }),
		})
		list = append(list, w)
		return err
	})
	e.add(func(p *ota.Policy) { p.Windows = list })
	return err
}

// timeOfDay is a field that is what the clock on the wall shows, or how long after midnight that is.
func (d *decoder) timeOfDay(set func(time.Duration)) field {
	return field{read: func() error {
		s, err := d.durationText()
		if err != nil {
			return err
		}
		v, ok := clockTime(s)
		if !ok {
			v, ok = duration.Parse(s)
		}
		if !ok {
			d.refuse(s, "is no time of day", `"00:00" to "23:59", with seconds if need be ("22:30:15"), or a duration after midnight such as "22h30m"`)
			return nil
		}
		set(v)
		return nil
	}}
}

// clockTime reads HH:MM and HH:MM:SS.
func clockTime(s string) (sinceMidnight time.Duration, ok bool) {
	for _, layout := range []string{"15:04", "15:04:05"} {
		if len(s) != len(layout) {
			continue // time.Parse takes more than these: hours of one digit, and fractions
		}
		if t, err := time.Parse(layout, s); err == nil {
			return t.Sub(t.Truncate(24 * time.Hour)), true
		}
	}
	return 0, false
}
