// Package strictjson reads JSON from people one does not trust: token by token, in bounded memory,
// and strictly. A duplicate key, invalid UTF-8, a lone surrogate, a control character in a string,
// data after the end, too much depth or length: each is an [Error] that says where, as a JSON
// Pointer (RFC 6901).
//
// A Reader is pulled: [Reader.Object] and [Reader.Array] call back for every member, and the
// callback must consume exactly one value by one of the other methods. Nothing is decoded into an
// interface unless [Reader.Any] is asked to.
package strictjson

import (
	"fmt"
	"strconv"
	"strings"
)

// Limits bound what a Reader accepts. Zero fields mean the defaults.
type Limits struct {
	Depth   int  // of nested objects and arrays; 0 means 32
	String  int  // bytes of one string, decoded; 0 means 1 MiB
	Keys    int  // members of one object; 0 means 1,000
	Control bool // accept control characters in strings; NUL is refused always
}

func (l Limits) withDefaults() Limits {
	if l.Depth == 0 {
		l.Depth = 32
	}
	if l.String == 0 {
		l.String = 1 << 20
	}
	if l.Keys == 0 {
		l.Keys = 1000
	}
	return l
}

// Kind says what an Error is about.
type Kind uint8

// The kinds of errors.
const (
	Syntax    Kind = iota + 1 // not JSON, not UTF-8, or data after the end
	Type                      // JSON, but another type than wanted
	Duplicate                 // a key that the object has already
	Control                   // a control character in a string
	TooDeep                   // more nesting than Limits.Depth
	TooLong                   // a string longer than Limits.String
	TooMany                   // more members than Limits.Keys
)

// Error is a mistake in the input. Errors of the underlying reader are returned as they are, never
// as an Error.
type Error struct {
	Kind    Kind
	Pointer string // JSON Pointer to the value at fault; empty means the whole document
	Offset  int64  // bytes read before the mistake
	Problem string // for example "is a number, not a string"
}

func (e *Error) Error() string {
	at := e.Pointer
	if at == "" {
		at = "the document"
	}
	return fmt.Sprintf("%s %s (byte %d)", at, e.Problem, e.Offset)
}

// step is one part of the path to the present value.
type step struct {
	key   string
	index int // when key is not used
	array bool
}

// Pointer is the path to the value that is being read.
func (r *Reader) Pointer() string {
	var b strings.Builder
	for _, s := range r.path {
		b.WriteByte('/')
		if s.array {
			b.WriteString(strconv.Itoa(s.index))
		} else {
			b.WriteString(Escape(s.key))
		}
	}
	return b.String()
}

// Escape returns key as one reference token of a JSON Pointer.
func Escape(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

// Fail returns an Error at the present value.
func (r *Reader) Fail(k Kind, problem string) error {
	return &Error{Kind: k, Pointer: r.Pointer(), Offset: r.offset(), Problem: problem}
}
