package storetest

import (
	"slices"

	"github.com/seed-19b57ce3/ota"
)

var wrapperCases = cases{
	{"NoCompanionIsHidden", func(e *env) {
		_, err := ota.New(e.store, nil, ota.Options{})
		e.ok("a store that wraps another one hides no companion of it, unless its Unwrap returns nil", err)
	}},
	{"CompanionsAreKept", func(e *env) {
		lost := ota.Companions(e.bare)
		kept := ota.Companions(e.store)
		lost = slices.DeleteFunc(lost, func(c string) bool { return slices.Contains(kept, c) })
		e.that("a wrapper keeps the companions of the store that it wraps", len(lost) == 0, "lost are %v", lost)
	}},
}
