package httpapi

import (
	"bytes"
	"encoding"
	"fmt"
	"maps"
	"slices"
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
	warnings []string // members of a documented body that were ignored
}

// field is what becomes of one member of an object.
type field struct {
	read func() error // consumes the value
	null func()       // the value is null; nil: as if the member were absent
	bad  bool         // the member is refused wherever it is
}

// fields are the members an object may have, by name.
type fields map[string]field

// object reads an object of our own. It refuses a member that it does not know.
func (d *decoder) object(known fields) error {
	return d.Object(func(key string) error {
		if f, ok := known[key]; ok {
			return d.member(f)
		}
		return d.unknown(key, known)
	})
}

// documented reads an object of a documented request. It ignores a member that it does not know, as
// the documented API does, and warns of it. Options.Strict refuses such a member.
func (d *decoder) documented(known fields) error {
	return d.Object(func(key string) error {
		if f, ok := known[key]; ok {
			return d.member(f)
		}
		if near, otherCase := nearest(key, maps.Keys(known)); !d.strict && !otherCase {
			d.ignored(near)
			return d.Skip()
		}
		return d.unknown(key, known)
	})
}

// member reads the value of a member.
func (d *decoder) member(f field) error {
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
}

// unknown refuses the present member by name.
func (d *decoder) unknown(key string, known fields) error {
	var allowed []string
	for name, f := range known {
		if !f.bad {
			allowed = append(allowed, name)
		}
	}
	slices.Sort(allowed)
	m := wire.Mistake{Pointer: d.Pointer(), Problem: "is unknown", Allowed: strings.Join(allowed, ", ")}
	switch near, otherCase := nearest(key, maps.Keys(known)); {
	case otherCase:
		m.Problem = "is in the wrong case: " + near
	case near != "":
		m.Problem = "is unknown; did you mean " + near + "?"
	}
	return newProblem("malformed", shortPointer(m.Pointer)+" "+m.Problem, m)
}

// ignored warns that the present member has no effect.
func (d *decoder) ignored(near string) {
	const most = 16
	switch n := len(d.warnings); {
	case n == most:
		d.warnings = append(d.warnings, "there are more unknown members, which have no effect either")
	case n < most:
		text := shortPointer(d.Pointer()) + " is unknown and has no effect"
		if near != "" {
			text += "; did you mean " + near + "?"
		}
		d.warnings = append(d.warnings, text)
	}
}

// shortPointer is a pointer whose last name came from the client, for a sentence.
func shortPointer(p string) string {
	i := strings.LastIndexByte(p, '/')
	return p[:i+1] + texts.Shorten(p[i+1:])
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

// missing is the error for required members that are absent or empty. A value that was refused is
// not missing.
func (d *decoder) missing(names ...string) error {
	return missing(slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(d.mistakes, func(m wire.Mistake) bool { return m.Pointer == "/"+name })
	})...)
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

// replaced is a member of an earlier version. It is refused by name, with what replaces it.
func (d *decoder) replaced(by string) field {
	refuse := func() { d.refuse("", "was replaced", by) }
	return field{null: refuse, bad: true, read: func() error {
		refuse()
		return d.Skip()
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
