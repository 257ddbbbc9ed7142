package httpapi

import (
	"bytes"
	"encoding"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// decoder reads a request's body. What cannot be read ends it with an error; values that can be
// read and are refused are collected, so that one answer shows them all.
type decoder struct {
	*strictjson.Reader
	strict   bool
	mistakes []wire.Mistake
}

// field is what becomes of one member of an object.
type field struct {
	read func() error // consumes the value
	null func()       // the value is null; nil: as if the member were absent
}

// fields are the members an object may have, by name.
type fields map[string]field

// object reads an object with these members.
func (d *decoder) object(known fields) error {
	return d.Object(func(key string) error {
		f, ok := known[key]
		if !ok {
			return d.unknown(key, known)
		}
		null, err := d.Null()
		if err != nil {
			return err
		}
		if !null {
			return f.read()
		}
		if f.null != nil {
			f.null()
		}
		return nil
	})
}

func (d *decoder) unknown(key string, known fields) error {
	for name := range known {
		if strings.EqualFold(name, key) {
			return d.Fail(strictjson.Type, "is in the wrong case: "+name)
		}
	}
	if d.strict {
		return d.Fail(strictjson.Type, "is no field of this request")
	}
	return d.Skip()
}

// refuse notes that the present value is refused.
func (d *decoder) refuse(value, problem, allowed string) {
	d.refuseAt(d.Pointer(), value, problem, allowed)
}

func (d *decoder) refuseAt(pointer, value, problem, allowed string) {
	if len(d.mistakes) < 32 {
		d.mistakes = append(d.mistakes, wire.Mistake{Pointer: pointer, Problem: problem, Value: texts.Shorten(value), Allowed: allowed})
	}
}

// valid reports the values that were refused.
func (d *decoder) valid() error {
	if len(d.mistakes) == 0 {
		return nil
	}
	return newProblem("invalid", fmt.Sprintf("%d values were refused", len(d.mistakes)), d.mistakes...)
}

// missing is the error for required fields that are absent or empty.
func missing(names ...string) error {
	if len(names) == 0 {
		return nil
	}
	p := newProblem("malformed", "missing or empty: "+strings.Join(names, ", "))
	for _, name := range names {
		p.Errors = append(p.Errors, wire.Mistake{Pointer: "/" + name, Problem: "is missing or empty"})
	}
	return p
}

// text is a field that is a string.
func (d *decoder) text(v *string) field {
	return field{read: func() (err error) {
		*v, err = d.String()
		return err
	}}
}

// truth is a field that is a boolean.
func (d *decoder) truth(set func(bool)) field {
	return field{read: func() error {
		v, err := d.Bool()
		if err == nil {
			set(v)
		}
		return err
	}}
}

// enum is a field that is one of some words.
func (d *decoder) enum(v encoding.TextUnmarshaler, allowed string, set func()) field {
	return field{read: func() error {
		s, err := d.String()
		if err != nil {
			return err
		}
		if v.UnmarshalText([]byte(s)) != nil {
			d.refuse(s, "is unknown", allowed) // kept for the answer, which names every mistake
			return nil                         //nolint:nilerr // see above
		}
		set()
		return nil
	}}
}

// pairs is a field that is an object of strings.
func (d *decoder) pairs(set func(map[string]string)) field {
	return field{read: func() error {
		m := map[string]string{}
		err := d.Object(func(key string) error {
			v, err := d.String()
			m[key] = v
			return err
		})
		set(m)
		return err
	}}
}

// names reads strings: an array of them, or one string with commas between them. It fails when
// there are more than most. The bytes that add is given are good until it returns.
func (d *decoder) names(most int, add func([]byte) error) error {
	next, err := d.Next()
	if err != nil {
		return err
	}
	n := 0
	one := func(s []byte) error {
		if n++; n > most {
			return newProblem("invalid", "", wire.Mistake{Pointer: d.Pointer(), Problem: "has too many entries", Allowed: fmt.Sprintf("at most %d", most)})
		}
		return add(s)
	}
	if next != '"' {
		return d.Array(func(int) error {
			b, err := d.Bytes()
			if err != nil {
				return err
			}
			return one(bytes.TrimSpace(b))
		})
	}
	list, err := d.Bytes()
	if err != nil {
		return err
	}
	for s := range bytes.SplitSeq(list, []byte(",")) {
		if s = bytes.TrimSpace(s); len(s) > 0 {
			if err := one(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// textProblem says what the Engine would find wrong with a text, besides its length.
func textProblem(s string) string {
	if !utf8.ValidString(s) {
		return "is not valid UTF-8"
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return "has a control character"
	}
	return ""
}
