// Package wrap finds the optional interfaces of a value that may be wrapped in others, and refuses
// wrappers that hide some.
//
// A table is a pointer to a struct. Each field has the name and the type of one optional interface,
// and is nil where a value lacks it. A wrapper has a method Unwrap() I, where I is an interface
// that it implements itself; nil hides what it wraps on purpose.
package wrap

import (
	"iter"
	"reflect"
)

// As returns the outermost value that is a T, of v and of what v wraps.
func As[T any](v any) (T, bool) {
	for link := range links(v) {
		if t, ok := link.(T); ok {
			return t, true
		}
	}
	var none T
	return none, false
}

// Names returns the names of the optional interfaces of the tables that v has by itself or by what
// it wraps. It fills the tables.
func Names(v any, tables ...any) []string {
	var names []string
	for _, table := range tables {
		collect(v, table)
		has, _ := Named(table)
		names = append(names, has...)
	}
	return names
}

// maxLinks is how many values may be wrapped in one another. More is a cycle.
const maxLinks = 64

// links yields v, what v wraps, and so on.
func links(v any) iter.Seq[any] {
	return func(yield func(any) bool) {
		for n := 0; n < maxLinks && !IsNil(v) && yield(v); n++ {
			v, _ = unwrap(v)
		}
	}
}

// unwrap returns what v wraps, and whether v has a method Unwrap() I for an interface I that v
// implements. A method that returns nil ends the chain.
func unwrap(v any) (inner any, wraps bool) {
	m := reflect.ValueOf(v).MethodByName("Unwrap")
	if !m.IsValid() {
		return nil, false
	}
	t := m.Type()
	if t.NumIn() != 0 || t.NumOut() != 1 || t.Out(0) == reflect.TypeFor[error]() || t.Out(0).Kind() != reflect.Interface ||
		!reflect.TypeOf(v).Implements(t.Out(0)) {
		return nil, false
	}
	return m.Call(nil)[0].Interface(), true
}

// IsNil reports whether v is nil, or a nil function or pointer in an interface, whose methods could
// only panic.
func IsNil(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	return (r.Kind() == reflect.Func || r.Kind() == reflect.Pointer) && r.IsNil()
}

// collect fills a table: a pointer to a struct whose fields are interfaces. It sets each nil field to
// the first value that implements it: v, or the value that v wraps, and so on inwards.
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

// Named lists what a filled table has and lacks.
func Named(table any) (has, lacks []string) {
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

// Mistake takes one reason for which a value is refused: its type, the problem, and what is
// allowed.
type Mistake func(value, problem, allowed string)

// Find sets the fields of a table to what outer has. It reports an outer that is nil inside, wraps
// itself, or hides an interface of the table. W is the type of what is wrapped.
func Find[W any](outer W, table any, mistake Mistake) {
	n := 0
	for link := range links(outer) {
		n++
		inner, wraps := unwrap(link)
		if wraps && inner != nil && IsNil(inner) {
			mistake(TypeName(link), "wraps a "+TypeName(inner)+" that is nil", "a value, or nil to hide it on purpose")
		}
	}
	switch n {
	case 0:
		mistake(TypeName(outer), "is nil inside", "a value")
	case maxLinks:
		mistake(TypeName(outer), "wraps itself, or more than 63 values", "Unwrap returns what is wrapped, never the wrapper")
	default:
		collect(outer, table)
		refuseHidden[W](mistake, outer, table)
	}
}

// TypeName returns the name of the type of v.
func TypeName(v any) string { return reflect.TypeOf(v).String() }
