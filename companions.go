package ota

import (
	"iter"
	"reflect"
)

// executorCompanions are the optional interfaces of an Executor. A field is nil if the Executor
// does not have it. The fields are the table: an interface without a field is neither looked for
// nor protected from being hidden.
type executorCompanions struct {
	Prechecker Prechecker
	Prober     Prober
	Inspector  Inspector
	Gater      Gater
}

// storeCompanions are the optional interfaces of a Store.
type storeCompanions struct {
	Claimer  Claimer
	Leaser   Leaser
	Notifier Notifier
	Inbox    Inbox
	Pruner   Pruner
}

// simCompanions are the optional interfaces of a SimFleet.
type simCompanions struct {
	SimProber     SimProber
	SimPrechecker SimPrechecker
}

// companions are those of an Engine, found once, by New.
type companions struct {
	executorCompanions
	storeCompanions
}

// As returns the outermost value of type T among v and what v wraps. If v has a method Unwrap()
// Executor, Unwrap() Store or Unwrap() SimFleet, v wraps the value that it returns, and so on, at
// most 64 deep. The engine finds all optional interfaces this way. Use it instead of a type
// assertion on a value that may be wrapped:
//
//	pruner, ok := ota.As[ota.Pruner](store)
func As[T any](v any) (T, bool) {
	for link := range links(v) {
		if t, ok := link.(T); ok {
			return t, true
		}
	}
	var none T
	return none, false
}

// Companions returns the names of the optional interfaces of v, for example "Claimer". v is an
// Executor, a Store or a SimFleet; the interfaces of what it wraps count too (see As). A test of a
// wrapper compares them with those of the wrapped value.
func Companions(v any) []string {
	var names []string
	for _, table := range []any{&executorCompanions{}, &storeCompanions{}, &simCompanions{}} {
		collect(v, table)
		has, _ := named(table)
		names = append(names, has...)
	}
	return names
}

// maxLinks is how deep values may be wrapped. More is a cycle.
const maxLinks = 64

// links yields v, what v wraps, and so on.
func links(v any) iter.Seq[any] {
	return func(yield func(any) bool) {
		for n := 0; n < maxLinks && !isNil(v) && yield(v); n++ {
			v, _ = unwrap(v)
		}
	}
}

// unwrap returns what v wraps, and whether v has a method Unwrap. A nil result ends the chain.
func unwrap(v any) (inner any, wraps bool) {
	switch w := v.(type) {
	case interface{ Unwrap() Executor }:
		return w.Unwrap(), true
	case interface{ Unwrap() Store }:
		return w.Unwrap(), true
	case interface{ Unwrap() SimFleet }:
		return w.Unwrap(), true
	default:
		return nil, false
	}
}

// isNil reports whether v is nil, or a nil function or pointer in an interface, whose methods could
// only panic.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	return (r.Kind() == reflect.Func || r.Kind() == reflect.Pointer) && r.IsNil()
}

// collect sets the fields of a table to the interfaces of v and of what v wraps, the outermost
// first.
func collect(v, table any) {
	fields := reflect.ValueOf(table).Elem()
	for link := range links(v) {
		r := reflect.ValueOf(link)
		for _, f := range fields.Fields() {
			if f.IsNil() && r.Type().Implements(f.Type()) {
				f.Set(r)
			}
		}
	}
}

// named lists the interfaces that a filled table has and lacks.
func named(table any) (has, lacks []string) {
	fields := reflect.ValueOf(table).Elem()
	for i := range fields.NumField() {
		if name := fields.Type().Field(i).Name; fields.Field(i).IsNil() {
			lacks = append(lacks, name)
		} else {
			has = append(has, name)
		}
	}
	return has, lacks
}

// findCompanions fills table with the companions of outer. It refuses an outer that is nil inside,
// wraps itself, or hides a companion.
func findCompanions[W any](m *mistakes, field string, outer W, table any) {
	n := 0
	for link := range links(outer) {
		n++
		inner, wraps := unwrap(link)
		if wraps && inner != nil && isNil(inner) {
			m.add(field, typeName(link), "wraps a "+typeName(inner)+" that is nil", "a value, or nil to hide it on purpose")
		}
	}
	switch n {
	case 0:
		m.add(field, typeName(outer), "is nil inside", "a value")
	case maxLinks:
		m.add(field, typeName(outer), "wraps itself, or more than 63 values", "Unwrap returns what is wrapped, never the wrapper")
	default:
		collect(outer, table)
		refuseHidden[W](m, field, outer, table)
	}
}

func typeName(v any) string { return reflect.TypeOf(v).String() }
