package simulate

import (
	"errors"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/internal/wrap"
)

// companions are the optional interfaces of a Fleet. A field is nil where the Fleet does not have
// it.
type companions struct {
	Prober     Prober
	Prechecker Prechecker
	Gater      Gater
}

// Companions returns the names of the optional interfaces that a Fleet has by itself or by what it
// wraps, for example "Prober". A test of a wrapper compares them with those of what is wrapped.
func Companions(fleet Fleet) []string { return wrap.Names(fleet, &companions{}) }

// companionsOf finds those of a fleet. It refuses a fleet that is nil, or a wrapper that hides
// some.
func companionsOf(fleet Fleet) (with companions, err error) {
	if fleet == nil {
		return with, &ota.FieldError{Field: "fleet", Problem: "is missing", Allowed: "a simulate.Fleet"}
	}
	wrap.Find(fleet, &with, func(value, problem, allowed string) {
		err = errors.Join(err, &ota.FieldError{Field: "fleet", Value: value, Problem: problem, Allowed: allowed})
	})
	return with, err
}
