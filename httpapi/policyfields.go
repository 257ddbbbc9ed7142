package httpapi

import (
	"reflect"
	"strings"
	"time"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/internal/duration"
	"github.com/seed-19b57ce3/ota/httpapi/internal/policy"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// policyEdit is the policy of a request: its changes, in the order of the request. Creating a plan
// and editing one both use it.
type policyEdit struct {
	d       *decoder
	changes []func(*ota.Policy)
	observe *string // observeDuration as given; nil: not given
	reset   bool    // observeDuration was null
}

func (e *policyEdit) apply(p *ota.Policy) {
	for _, change := range e.changes {
		change(p)
	}
}

func (e *policyEdit) add(change func(*ota.Policy)) { e.changes = append(e.changes, change) }

// fields are the members that a policy has in a request. Null stands for the default.
func (e *policyEdit) fields() fields {
	known := e.d.members(policy.Members, func(change func(reflect.Value)) {
		e.add(func(p *ota.Policy) { change(reflect.ValueOf(p).Elem()) })
	})
	known["observeDuration"] = field{
		read: e.observeDuration, null: func() { e.observe, e.reset = nil, true },
	}
	known["budget"] = e.d.replaced("budgets, a list: [{\"label\": …, \"max\": …, \"of\": \"open\"}]")
	return known
}

// members are the fields for rows of the table. change is called with each change of the struct
// that the rows describe.
func (d *decoder) members(rows []policy.Member, change func(func(reflect.Value))) fields {
	known := make(fields, len(rows)+1)
	for i := range rows {
		m := &rows[i]
		known[m.Name] = field{
			read: func() error {
				if m.Kind == policy.Object {
					change(func(p reflect.Value) { m.Inside(p) })
					return d.object(d.members(m.Members, func(inner func(reflect.Value)) {
						change(func(p reflect.Value) { inner(m.Inside(p)) })
					}))
				}
				v, given, err := d.policyValue(m)
				if given {
					change(func(p reflect.Value) { m.In(p).Set(v) })
				}
				return err
			},
			null: func() { change(func(p reflect.Value) { m.In(p).SetZero() }) },
		}
	}
	return known
}

// limitWords are the texts that a limit may be besides a length of time.
var limitWords = map[string]time.Duration{"none": ota.NoTimeout}

// policyValue reads one value that is no object. It is given unless it was refused.
func (d *decoder) policyValue(m *policy.Member) (v reflect.Value, given bool, err error) {
	whole := m.New()
	if v = whole; v.Kind() == reflect.Pointer { // absent, or a value
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	number := func(n int64) {
		v.SetInt(n)
		given = true
	}
	length := func(l time.Duration) { number(int64(l)) }
	switch m.Kind {
	case policy.Number:
		err = d.integerOf(m.Least, m.Most, m.Allowed, func(n int) { number(int64(n)) }).read()
	case policy.Fraction:
		err = d.float(fraction, func(f float64) {
			v.SetFloat(f)
			given = true
		}).read()
	case policy.Truth:
		err = d.truth(func(b bool) {
			v.SetBool(b)
			given = true
		}).read()
	case policy.Text:
		var s string
		err = d.text(&s).read()
		v.SetString(s)
		given = true
	case policy.Word:
		err = d.enum(policy.EnumOf(v), m.Allowed, func() { given = true }).read()
	case policy.Wait:
		err = d.duration(nil, length).read()
	case policy.Limit:
		err = d.duration(limitWords, func(l time.Duration) {
			if l == 0 {
				d.refuse("0", "is no limit", `more than 0, or "none"`)
			}
			length(l)
		}).read()
	case policy.Clock:
		err = d.timeOfDay(length).read()
	case policy.Counts:
		err = d.counts(m, v)
		given = true
	case policy.Numbers, policy.Objects:
		err = d.list(m, v)
		given = true
	default:
		panic("httpapi: no decoder for " + m.Name)
	}
	return whole, given, err
}

// counts reads an object of numbers into v. It replaces the whole object.
func (d *decoder) counts(m *policy.Member, v reflect.Value) error {
	v.Set(reflect.MakeMap(v.Type()))
	return d.Object(func(key string) error {
		if v.Len() == 1000 {
			return newProblem("invalid", "", wire.Mistake{
				Pointer: d.Pointer(), Problem: "is one value too many", Allowed: "at most 64",
			})
		}
		return d.integerOf(m.Least, m.Most, m.Allowed, func(n int) {
			v.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(n))
		}).read()
	})
}

// list reads a list into v. It replaces the whole list, as a merge patch does.
func (d *decoder) list(m *policy.Member, v reflect.Value) error {
	number := d.integerOf(m.Least, m.Most, m.Allowed, func(n int) {
		one := reflect.New(v.Type().Elem()).Elem()
		one.SetInt(int64(n))
		v.Set(reflect.Append(v, one))
	})
	return d.Array(func(i int) error {
		if m.Kind == policy.Numbers {
			if i == 10_000 {
				return newProblem("invalid", "", wire.Mistake{
					Pointer: d.Pointer(), Problem: "has too many entries", Allowed: "at most 10000",
				})
			}
			return number.read()
		}
		if i == 100 {
			return newProblem("invalid", "", wire.Mistake{
				Pointer: d.Pointer(), Problem: "is one " + strings.TrimSuffix(m.Name, "s") + " too many",
				Allowed: "at most 100",
			})
		}
		one := reflect.New(v.Type().Elem()).Elem()
		err := d.object(d.members(m.Members, func(change func(reflect.Value)) { change(one) }))
		v.Set(reflect.Append(v, one))
		return err
	})
}

// observeDuration keeps its text. A duration is how long a batch is observed. A text that looks like
// a duration and is none is refused; other text has no effect, as in the document's example.
func (e *policyEdit) observeDuration() error {
	s, err := e.d.durationText()
	if err != nil {
		return err
	}
	e.observe, e.reset = &s, false
	switch _, ok := duration.Parse(s); {
	case len(s) > 255:
		e.d.refuse(s, "is too long", "at most 255 bytes")
	case !ok && duration.Looks(s):
		e.d.refuse(s, "is no duration", durations)
	}
	return nil
}

// settle adds what observeDuration means. It overrides observe.wait.
func (e *policyEdit) settle() {
	if e.reset {
		e.add(func(p *ota.Policy) { p.Soak.Duration = 0 })
	}
	if e.observe == nil {
		return
	}
	if v, ok := duration.Parse(*e.observe); ok {
		e.add(func(p *ota.Policy) { p.Soak.Duration = v })
	}
}
