// Package policy reads the table of a policy's members, which is the struct types of
// wire/policy.go. It is the only place that knows how a member of the API and a field of ota.Policy
// belong together.
package policy

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"

	"github.com/seed-19b57ce3/ota"
	"github.com/seed-19b57ce3/ota/httpapi/wire"
)

// Kind is how a member is written.
type Kind uint8

// The kinds of members.
const (
	Number   Kind = iota + 1 // a whole number from Least to Most
	Fraction                 // a number, whose range is the Engine's to check
	Truth                    // true or false
	Text                     // a string
	Word                     // one of Words
	Wait                     // a length of time, 0 or more
	Limit                    // a length of time, more than 0, or "none"
	Clock                    // a time of day
	Numbers                  // a list of numbers from Least to Most
	Object                   // an object with Members
	Objects                  // a list of objects with Members
	Counts                   // an object whose members are numbers from Least to Most
)

// Member is one row of the table.
type Member struct {
	Name        string
	Kind        Kind
	Least, Most int
	Words       []string // in the order of their values
	Allowed     string   // for people: what a number or a word may be
	Members     []Member

	typ   reflect.Type
	field []int // in the type of package ota
	wire  []int // in the type of package wire
}

// Members is the table.
var Members = read(reflect.TypeFor[wire.RollbackPolicy](), reflect.TypeFor[ota.Policy]())

// New is a new value of the field that the member stands for.
func (m *Member) New() reflect.Value { return reflect.New(m.typ).Elem() }

// In is the field of p, a struct of package ota, that the member stands for.
func (m *Member) In(p reflect.Value) reflect.Value { return p.FieldByIndex(m.field) }

// Inside is the struct of an object in p. If there is none yet, it makes one.
func (m *Member) Inside(p reflect.Value) reflect.Value {
	v := m.In(p)
	if v.Kind() != reflect.Pointer {
		return v
	}
	own := reflect.New(v.Type().Elem()) // p may share what the pointer points to
	if !v.IsNil() {
		own.Elem().Set(v.Elem())
	}
	v.Set(own)
	return own.Elem()
}

// read returns the rows of a type of package wire, whose fields stand for those of a type of
// package ota by the same names. It panics when they do not.
func read(from, to reflect.Type) []Member {
	var rows []Member
	for _, f := range reflect.VisibleFields(from) {
		if f.Anonymous {
			continue
		}
		target, ok := to.FieldByName(f.Name)
		if !ok {
			panic(fmt.Sprintf("policy: %s has no field %s", to, f.Name))
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		m := Member{Name: name, Most: 1_000_000, typ: target.Type, field: target.Index, wire: f.Index}
		m.describe(f, target.Type)
		rows = append(rows, m)
	}
	return rows
}

var (
	duration = reflect.TypeFor[wire.Duration]()
	word     = reflect.TypeFor[Enum]()
)

// describe sets the kind of a member, and what it may be, by the type and the tag of its row.
func (m *Member) describe(row reflect.StructField, target reflect.Type) {
	tag := row.Tag.Get("policy")
	if strings.Contains(tag, "..") {
		if _, err := fmt.Sscanf(tag, "%d..%d", &m.Least, &m.Most); err != nil {
			panic(fmt.Sprintf("policy: %s: the range %q: %v", m.Name, tag, err))
		}
	}
	m.Allowed = fmt.Sprintf("%d to %d", m.Least, m.Most)
	if text := row.Tag.Get("allowed"); text != "" {
		m.Allowed = text
	}
	typ := row.Type
	if typ.Kind() == reflect.Pointer && typ.Elem().Kind() != reflect.Struct {
		typ = typ.Elem() // absent, or a value
	}
	switch kind := typ.Kind(); {
	case typ == duration:
		m.Kind = map[string]Kind{"": Wait, "limit": Limit, "clock": Clock}[tag]
	case reflect.PointerTo(typ).Implements(word):
		m.Kind, m.Words = Word, words(typ)
		m.Allowed = strings.Join(m.Words, ", ")
	case kind == reflect.Int:
		m.Kind = Number
	case kind == reflect.Float64:
		m.Kind = Fraction
	case kind == reflect.Bool:
		m.Kind = Truth
	case kind == reflect.String:
		m.Kind = Text
	case kind == reflect.Struct:
		m.Kind, m.Members = Object, read(row.Type, target)
	case kind == reflect.Pointer:
		m.Kind, m.Members = Object, read(row.Type.Elem(), target.Elem())
	case kind == reflect.Slice && row.Type.Elem().Kind() == reflect.Int:
		m.Kind = Numbers
	case kind == reflect.Map && row.Type.Elem().Kind() == reflect.Int:
		m.Kind = Counts
	case kind == reflect.Slice && row.Type.Elem().Kind() == reflect.Struct:
		m.Kind, m.Members = Objects, read(row.Type.Elem(), target.Elem())
	}
	if m.Kind == 0 {
		panic(fmt.Sprintf("policy: %s: there is no kind for %s and the tag %q", m.Name, row.Type, tag))
	}
}

// Enum is a value that is written as a word.
type Enum interface {
	fmt.Stringer
	encoding.TextUnmarshaler
}

// EnumOf returns v, which a member of kind Word has made, as what reads and writes its word.
func EnumOf(v reflect.Value) Enum {
	e, ok := reflect.TypeAssert[Enum](v.Addr())
	if !ok {
		panic(fmt.Sprintf("policy: %s has no words", v.Type()))
	}
	return e
}

// words are the texts of an enum's values, from 0 on.
func words(enum reflect.Type) []string {
	var all []string
	v := reflect.New(enum).Elem()
	for e := EnumOf(v); ; v.SetUint(uint64(len(all))) {
		text := e.String()
		if e.UnmarshalText([]byte(text)) != nil {
			return all
		}
		all = append(all, text)
	}
}
