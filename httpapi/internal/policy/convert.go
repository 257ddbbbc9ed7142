package policy

import (
	"reflect"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// Of is a whole policy on the wire. p has its defaults.
func Of(p *ota.Policy) wire.RollbackPolicy {
	var out wire.RollbackPolicy
	answer(Members, reflect.ValueOf(p).Elem(), reflect.ValueOf(&out).Elem())
	return out
}

// answer sets out, a struct of package wire, to what p, a struct of package ota, has.
func answer(members []Member, p, out reflect.Value) {
	for i := range members {
		m := &members[i]
		have, to := m.In(p), out.FieldByIndex(m.wire)
		if to.Kind() == reflect.Pointer && m.Kind != Object { // absent, or a value
			if have.IsNil() {
				continue
			}
			to.Set(reflect.New(to.Type().Elem()))
			have, to = have.Elem(), to.Elem()
		}
		switch m.Kind {
		case Object:
			if have.Kind() == reflect.Pointer {
				if have.IsNil() {
					continue
				}
				to.Set(reflect.New(to.Type().Elem()))
				have, to = have.Elem(), to.Elem()
			}
			answer(m.Members, have, to)
		case Objects:
			for i := range have.Len() {
				one := reflect.New(to.Type().Elem()).Elem()
				answer(m.Members, have.Index(i), one)
				to.Set(reflect.Append(to, one))
			}
		case Fraction:
			if to.Set(reflect.Zero(to.Type())); have.Kind() != reflect.Pointer {
				to.Set(have)
			} else if !have.IsNil() {
				to.Set(have.Elem())
			}
		case Number, Wait, Limit, Clock:
			to.SetInt(have.Int())
		case Truth:
			to.SetBool(have.Bool())
		case Text:
			to.SetString(have.String())
		default: // a word, numbers or counts: the same type on both sides
			to.Set(have)
		}
	}
}

// Request is a policy as the members of a request. A member that is zero means the default: it is
// left out, or null where whole says that the request must name every member.
func Request(p *ota.Policy, whole bool) map[string]any {
	out := Of(p)
	return request(Members, reflect.ValueOf(p).Elem(), reflect.ValueOf(&out).Elem(), whole)
}

func request(members []Member, p, out reflect.Value, whole bool) map[string]any {
	all := map[string]any{}
	for i := range members {
		m := &members[i]
		have, to := m.In(p), out.FieldByIndex(m.wire)
		switch {
		case have.IsZero() && whole:
			all[m.Name] = nil
		case have.IsZero():
		case m.Kind == Object && have.Kind() == reflect.Pointer:
			all[m.Name] = request(m.Members, have.Elem(), to.Elem(), whole)
		case m.Kind == Object:
			all[m.Name] = request(m.Members, have, to, whole)
		default:
			all[m.Name] = to.Interface()
		}
	}
	return all
}
