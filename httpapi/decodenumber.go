package httpapi

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
)

// literal reads a number, or a string that is one.
func (d *decoder) literal() (string, error) {
	next, err := d.Next()
	if err != nil {
		return "", err
	}
	if next != '"' {
		return d.Number()
	}
	s, err := d.String()
	if err != nil {
		return "", err
	}
	if s = strings.TrimSpace(s); !strictjson.IsNumber(s) {
		return "", d.Fail(strictjson.Type, "is no number")
	}
	return s, nil
}

// integer is a field that is a whole number from least to most.
func (d *decoder) integer(least, most int, set func(int)) field {
	return field{read: func() error {
		s, err := d.literal()
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			f, ferr := strconv.ParseFloat(s, 64)
			if ferr == nil && f != math.Trunc(f) {
				return d.Fail(strictjson.Type, "is no whole number")
			}
			if ferr != nil || math.Abs(f) > 1<<53 {
				d.refuse(s, "is out of range", fmt.Sprintf("%d to %d", least, most))
				return nil //nolint:nilerr // the refusal is kept for the answer, which names every mistake
			}
			n = int(f)
		}
		if n < least || n > most {
			d.refuse(s, "is out of range", fmt.Sprintf("%d to %d", least, most))
			return nil
		}
		set(n)
		return nil
	}}
}

// float is a field that is a number.
func (d *decoder) float(set func(float64)) field {
	return field{read: func() error {
		s, err := d.literal()
		if err != nil {
			return err
		}
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			d.refuse(s, "is out of range", "")
			return nil //nolint:nilerr // the refusal is kept for the answer, which names every mistake
		}
		set(f)
		return nil
	}}
}
