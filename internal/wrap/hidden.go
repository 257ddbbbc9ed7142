package wrap

import (
	"reflect"
	"strings"
)

// A wrapper hides the optional interfaces of what it wraps: a struct with an embedded Store has the
// methods of Store, and no others. A plan would then run without the protection that its writer
// sees in the wrapped value. So Find looks into the fields of the wrapper, and refuses one that
// hides something without a word. What a function has captured, and what is in a slice or a map, it
// cannot see.

// hider searches the fields of a wrapper for companions.
type hider struct {
	base  reflect.Type  // for example Executor
	table reflect.Value // the companions that were found
	seen  map[hideout]bool
	depth int
	found func(path string, held reflect.Type, hides []string)
}

type hideout struct {
	of reflect.Type
	at uintptr
}

// refuseHidden reports each field, of outer and of what it wraps, that can do what table lacks. All
// fields of a value without an Unwrap method count. Where Unwrap returns something only an embedded
// field does, and none where it returns nil.
func refuseHidden[W any](mistake Mistake, outer W, table any) {
	base := reflect.TypeFor[W]()
	for link := range links(outer) {
		inner, wraps := unwrap(link)
		if wraps && inner == nil {
			continue
		}
		h := hider{base: base, table: reflect.ValueOf(table).Elem(), seen: map[hideout]bool{}}
		h.found = func(path string, held reflect.Type, hides []string) {
			mistake(TypeName(link), "hides "+strings.Join(hides, ", ")+" of "+held.String()+" in its field "+path,
				"a method Unwrap() "+base.String()+" that returns what the field holds, or nil to hide it on purpose")
		}
		h.look(reflect.ValueOf(link), "", wraps)
	}
}

// look searches the fields of v, a struct or a pointer to one.
func (h *hider) look(v reflect.Value, path string, embeddedOnly bool) {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		at := hideout{v.Type(), v.Pointer()}
		if h.seen[at] {
			return
		}
		h.seen[at] = true
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return
	}
	for i := range v.NumField() {
		f, at := v.Field(i), v.Type().Field(i)
		switch {
		case embeddedOnly && !at.Anonymous:
		case at.Type.Implements(h.base) || reflect.PointerTo(at.Type).Implements(h.base):
			h.held(f, path+at.Name)
		case f.Kind() == reflect.Struct:
			h.look(f, path+at.Name+".", embeddedOnly)
		}
	}
}

// held checks a field that is a base, and what it wraps.
func (h *hider) held(f reflect.Value, path string) {
	can := f.Type()
	switch f.Kind() {
	case reflect.Interface:
		if f = f.Elem(); !f.IsValid() {
			return
		}
		can = f.Type()
	case reflect.Struct: // a method of the wrapper can call those of the field's pointer
		can = reflect.PointerTo(can)
	}
	if hides := h.lacking(can); hides != nil {
		h.found(path, can, hides)
		return
	}
	if h.depth++; h.depth > maxLinks {
		return
	}
	var inner any
	var wraps bool
	if f.CanInterface() { // the value of an unexported field can be looked at, but not be called
		inner, wraps = unwrap(f.Interface())
	}
	if inner != nil {
		h.held(reflect.ValueOf(inner), path+".Unwrap()")
	}
	if !wraps || inner != nil {
		h.look(f, path+".", wraps)
	}
}

// lacking lists the companions that a type has and the table does not.
func (h *hider) lacking(can reflect.Type) (names []string) {
	for _, t := range h.table.Fields() {
		if t.IsNil() && can.Implements(t.Type()) {
			names = append(names, t.Type().String())
		}
	}
	return names
}
