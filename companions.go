package ota

import "github.com/seed-19b57ce3/ota/internal/wrap"

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

// companions are those of an Engine, found once, by New.
type companions struct {
	executorCompanions
	storeCompanions
}

// As returns the outermost value that is a T, of v and of what v wraps: where v has a method
// Unwrap() Executor or Unwrap() Store, v wraps the value that it returns, and so on, at most 64
// deep. The engine finds all optional interfaces this way. Wrappers of other interfaces, such as
// simulate.Fleet, work alike. Use it instead of a type assertion on a value that may be wrapped:
//
//	pruner, ok := ota.As[ota.Pruner](store)
func As[T any](v any) (T, bool) { return wrap.As[T](v) }

// Companions returns the names of the optional interfaces that v, an Executor or a Store, has by
// itself or by what it wraps (see As), for example "Claimer". A test of a wrapper compares them
// with those of what is wrapped.
func Companions(v any) []string {
	return wrap.Names(v, &executorCompanions{}, &storeCompanions{})
}

// findCompanions fills table with the companions of outer. It refuses an outer that is nil inside,
// wraps itself, or hides a companion.
func findCompanions[W any](m *mistakes, field string, outer W, table any) {
	wrap.Find(outer, table, func(value, problem, allowed string) { m.add(field, value, problem, allowed) })
}
