package httpapi

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
)

// literal reads a number, or a string that is one. Any other string is refused, and ok is false.
func (d *decoder) literal(allowed string) (s string, ok bool, err error) {
	next, err := d.Next()
	if err != nil {
		return "", false, err
	}
	if next != '"' {
		s, err = d.Number()
		return s, err == nil, err
	}
	given, err := d.String()
	if err != nil {
		return "", false, err
	}
	if s = strings.TrimSpace(given); !strictjson.IsNumber(s) {
		d.refuse(given, "is no number", allowed)
		return "", false, nil
	}
	return s, true, nil
}

// integer is a field that is a whole number from least to most.
func (d *decoder) integer(least, most int, set func(int)) field {
	return d.integerOf(least, most, fmt.Sprintf("%d to %d", least, most), set)
}

// integerOf is integer in words of its own for what is allowed.
func (d *decoder) integerOf(least, most int, allowed string, set func(int)) field {
	return field{read: func() error {
		s, ok, err := d.literal(allowed)
		if !ok {
			return err
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			f, ferr := strconv.ParseFloat(s, 64)
			if ferr == nil && f != math.Trunc(f) {
				return d.Fail(strictjson.Type, "is no whole number")
			}
			if ferr != nil || math.Abs(f) > 1<<53 {
				d.refuse(s, "is out of range", allowed)
				return nil //nolint:nilerr // the refusal is kept for the answer, which names every mistake
			}
			n = int(f)
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
		s, ok, err := d.literal(allowed)
		if !ok {
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
