package httpapi

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// literal reads a number, or a string that is one. Any other string cannot be read; the error says
// what is allowed instead.
func (d *decoder) literal(allowed string) (string, error) {
	next, err := d.Next()
	if err != nil {
		return "", err
	}
	if next != '"' {
		return d.Number()
	}
	given, err := d.String()
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(given)
	if !strictjson.IsNumber(s) {
		return "", newProblem("malformed", d.Pointer()+" is no number",
			wire.Mistake{Pointer: d.Pointer(), Problem: "is no number", Value: texts.Shorten(given), Allowed: allowed})
	}
	return s, nil
}

// integer is a field that is a whole number from least to most.
func (d *decoder) integer(least, most int, set func(int)) field {
	return d.integerOf(least, most, fmt.Sprintf("%d to %d", least, most), set)
}

// integer64 is integer for what does not fit into an int everywhere.
func (d *decoder) integer64(least, most int64, set func(int64)) field {
	return d.integer64Of(least, most, fmt.Sprintf("%d to %d", least, most), set)
}

// integerOf is integer in words of its own for what is allowed.
func (d *decoder) integerOf(least, most int, allowed string, set func(int)) field {
	return d.integer64Of(int64(least), int64(most), allowed, func(n int64) { set(int(n)) })
}

func (d *decoder) integer64Of(least, most int64, allowed string, set func(int64)) field {
	return field{read: func() error {
		s, err := d.literal(allowed)
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			f, ferr := strconv.ParseFloat(s, 64)
			if ferr == nil && f != math.Trunc(f) {
				return d.Fail(strictjson.Type, "is no whole number")
			}
			if ferr != nil || math.Abs(f) > 1<<53 {
				d.refuse(s, "is out of range", allowed)
				return nil //nolint:nilerr // the refusal is kept for the answer, which names every mistake
			}
			n = int64(f)
		}
		if n < least || n > most {
			d.refuse(s, "is out of range", allowed)
			return nil
		}
		set(n)
		return nil
	}}
}

// fraction says what a failure threshold may be.
const fraction = "a number from 0 to 1: 0.1 tolerates one of ten"

// float is a field that is a number; its range is the Engine's to check.
func (d *decoder) float(allowed string, set func(float64)) field {
	return field{read: func() error {
		s, err := d.literal(allowed)
		if err != nil {
			return err
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			d.refuse(s, "is out of range", allowed)
			return nil //nolint:nilerr // the refusal is kept for the answer, which names every mistake
		}
		set(f)
		return nil
	}}
}
