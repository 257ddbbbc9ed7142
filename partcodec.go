package ota

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"github.com/seed-19b57ce3/ota/internal/bytesio"
	"github.com/seed-19b57ce3/ota/internal/expect"
)

// A part is the stored form of one value: a plan's spec, its Control, its Progress, a batch, or
// the part of an agent that never changes. Its frame is the same in all versions of the library:
//
//	schema, 1 byte | kind, 1 byte | fields | CRC-32C of what is before it, 4 bytes, little endian
//
// The schema is the lowest one that can express the value. So a plan that does not use a newer
// field is written as before, and older replicas can still work on it. A part with a higher schema
// than Schema is errSchema: the engine does not touch the plan. Any other form that no version
// writes is errDamaged.
//
// Fields are varints in zigzag form, texts with their length in front, and lists with their count
// in front. Each type has one method, code, that lists its fields. It serves both directions, so
// encoding and decoding cannot differ.
//
// How to add a field: put it at the end of the type's list, and raise Schema if a release was made
// since the last raise:
//
//	if c.from(2, p.Field != 0) {
//		c.num(&p.Field)
//	}
//
// A new value of an enumeration that an older version must not ignore needs c.from in the same
// way. A field of an agent's state needs it in Progress: the engine decides by the plan's three
// parts, before it reads rows.

// The kinds of parts. No agent's state has such a second byte, see statecodec.go; describe uses
// that to distinguish them.
const (
	partSpec     = 'S'
	partControl  = 'C'
	partProgress = 'P'
	partBatch    = 'B'
	partAgent    = 'A'
	partRecord   = 'L' // see recordcodec.go; it has no checksum
)

var partNames = map[byte]string{
	partSpec: "spec", partControl: "control", partProgress: "progress", partBatch: "batch", partAgent: "agent",
}

// partFrame is the length of everything around the fields.
const partFrame = 2 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDamaged = errors.New("truncated or damaged")

// coder goes through the fields of one part. While it writes it changes no field: two goroutines
// may encode one value. It is never passed to a function value or an interface: it would escape,
// and encoding would allocate.
type coder struct {
	b      []byte         // while writing: everything written
	in     bytesio.Reader // while reading: the fields that remain
	read   bool
	err    error
	kind   byte
	schema byte
	need   byte // while writing: the lowest schema that has all fields met so far
	start  int  // while writing: where the part begins in b
}

// partWriter writes a part behind b: call code while again reports true, then the part is in c.b.
func partWriter(b []byte, kind byte) coder { return coder{b: b, kind: kind, need: 1, start: len(b)} }

// again begins the part, begins it anew with a higher schema when a field needs one, or ends it.
func (c *coder) again() bool {
	if c.schema == c.need {
		sum := crc32.Checksum(c.b[c.start:], castagnoli)
		c.b = binary.LittleEndian.AppendUint32(c.b, sum)
		return false
	}
	c.schema = c.need
	c.b = append(c.b[:c.start], c.schema, c.kind)
	return true
}

// partReader checks the frame of a part. newest is the highest schema that the caller knows. After
// an error all fields are zero, and end returns it: decode into a new value, and hand that to
// setPart.
func partReader(b []byte, kind, newest byte) coder {
	c := coder{read: true, kind: kind}
	end := len(b) - 4
	switch {
	case len(b) < partFrame:
		c.damaged("it has %d bytes, the shortest has %d", len(b), partFrame)
	case crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]):
		c.damaged("its checksum is wrong")
	case b[1] != kind:
		c.damaged("it is of kind %q, want %q", b[1], kind)
	case b[0] == 0:
		c.damaged("it has schema 0")
	case b[0] > newest:
		c.err = fmt.Errorf("the %s was %w: it has schema %d, this version reads 1 to %d", partNames[kind], errSchema, b[0], newest)
	default:
		c.in, c.schema = bytesio.NewReader(b[2:end]), b[0]
	}
	return c
}

func (c *coder) damaged(format string, args ...any) {
	c.err = fmt.Errorf("the %s is %w: %s", partNames[c.kind], errDamaged, fmt.Sprintf(format, args...))
}

// end returns what was wrong with the part.
func (c *coder) end() error {
	switch {
	case c.err != nil:
	case c.in.Bad():
		c.damaged("a field is wrong")
	case c.in.Len() > 0:
		c.damaged("%d bytes follow its last field", c.in.Len())
	}
	return c.err
}

// setPart sets v to what was read, unless that failed.
func setPart[T any](v, read *T, err error) error {
	if err == nil {
		*v = *read
	}
	return err
}

// from reports whether the fields of a later schema follow. used says that this value has any of
// them.
func (c *coder) from(schema byte, used bool) bool {
	if used && !c.read {
		c.need = max(c.need, schema)
	}
	return c.schema >= schema
}

// stored fills the field that says which schema a value was stored with.
func (c *coder) stored(v *int) {
	if c.read {
		*v = int(c.schema)
	}
}

// varint writes v, or reads and returns another value.
func (c *coder) varint(v int64) int64 {
	if c.read {
		if x, ok := c.in.Short(); ok {
			return x
		}
		return c.in.Varint()
	}
	c.b = bytesio.AppendVarint(c.b, v)
	return v
}

// num is a number of any integer type. One that does not fit into the type is damage.
func num[T ~int | ~int64 | ~uint64 | ~uint8](c *coder, v *T) {
	if !c.read {
		c.b = bytesio.AppendVarint(c.b, int64(*v))
		return
	}
	x := c.varint(0)
	if *v = T(x); int64(*v) != x {
		c.in.Fail()
	}
}

func (c *coder) bool(v *bool) {
	x := c.varint(asInt64(*v))
	if c.read {
		if *v = x == 1; x&^1 != 0 {
			c.in.Fail()
		}
	}
}

func asInt64(v bool) int64 {
	if v {
		return 1
	}
	return 0
}

// float is eight bytes.
func (c *coder) float(v *float64) {
	if c.read {
		*v = math.Float64frombits(c.in.Fixed())
	} else {
		c.b = binary.LittleEndian.AppendUint64(c.b, math.Float64bits(*v))
	}
}

// time is Unix nanoseconds n in UTC: 0 for no time, n+1 for 1970 and later, n before. It keeps
// times of the years 1678 to 2262, as time.Time.UnixNano does.
func (c *coder) time(v *time.Time) {
	var n int64
	if !c.read && !v.IsZero() {
		if n = v.UnixNano(); n >= 0 && n < math.MaxInt64 {
			n++
		}
	}
	n = c.varint(n)
	if !c.read {
		return
	}
	switch {
	case n > 0:
		*v = time.Unix(0, n-1).UTC()
	case n < 0:
		*v = time.Unix(0, n).UTC()
	default:
		*v = time.Time{}
	}
}

func (c *coder) text(v *string) {
	n := c.count(len(*v))
	if c.read {
		*v = c.in.Take(uint64(n))
	} else {
		c.b = append(c.b, *v...)
	}
}

// count writes n, or reads another count. That is at most the number of remaining bytes: each item
// takes at least one byte, so a wrong count allocates nothing.
func (c *coder) count(n int) int {
	x := c.varint(int64(n))
	if c.read && uint64(x) > uint64(c.in.Len()) {
		c.in.Fail()
		return 0
	}
	return int(x)
}

// each is the length of a list, whose items the caller codes one after the other. An empty list is
// read as nil.
func each[T any](c *coder, v *[]T) int {
	n := c.count(len(*v))
	if c.read {
		if *v = nil; n > 0 {
			*v = make([]T, n)
		}
	}
	return n
}

// some reports whether there is a value behind a pointer, which the caller then codes.
func some[T any](c *coder, v **T) bool {
	if is := someIn(c, v, nil); !is || *v != nil {
		return is
	}
	*v = new(T)
	return true
}

// someIn is some, and reads the value into room.
func someIn[T any](c *coder, v **T, room *T) bool {
	is := *v != nil
	c.bool(&is)
	if c.read {
		if *v = nil; is {
			*v = room
		}
	}
	return is
}

func (c *coder) texts(v *[]string) {
	for i := range each(c, v) {
		c.text(&(*v)[i])
	}
}

func (c *coder) nums(v *[]int) {
	for i := range each(c, v) {
		num(c, &(*v)[i])
	}
}

// rising is a list of numbers that grow: it keeps the difference of each from the one before.
func (c *coder) rising(v *expect.Table) {
	before := 0
	for i := range each(c, (*[]int)(v)) {
		step := (*v)[i] - before
		num(c, &step)
		before += step
		if c.read {
			(*v)[i] = before
		}
	}
}

// pairs is a map, in order of its keys. An empty map is read as nil.
func (c *coder) pairs(v *map[string]string) {
	n := c.count(len(*v))
	if c.read {
		c.readPairs(v, n)
		return
	}
	var room [maxPairs]string // on the stack; a map has no more
	for _, k := range keysIn(room[:0], *v) {
		value := (*v)[k]
		c.text(&k)
		c.text(&value)
	}
}

// keysIn returns the keys of m in order. They are appended to room.
func keysIn[T any](room []string, m map[string]T) []string {
	for k := range m {
		room = append(room, k)
	}
	slices.Sort(room)
	return room
}

// numbers is a map of numbers, in order of its keys. An empty map is read as nil.
func (c *coder) numbers(v *map[string]int) {
	n := c.count(len(*v))
	if !c.read {
		var room [maxPairs]string // as in pairs
		for _, k := range keysIn(room[:0], *v) {
			value := (*v)[k]
			c.text(&k)
			num(c, &value)
		}
		return
	}
	if *v = nil; n > 0 {
		*v = make(map[string]int, min(n, maxPairs))
	}
	last := ""
	for i := 0; i < n && !c.in.Bad(); i++ {
		var key string
		var value int
		c.text(&key)
		num(c, &value)
		if i > 0 && key <= last {
			c.in.Fail()
		}
		(*v)[key], last = value, key
	}
}

func (c *coder) readPairs(v *map[string]string, n int) {
	if *v = nil; n > 0 {
		*v = make(map[string]string, min(n, maxPairs))
	}
	last := ""
	for i := 0; i < n && !c.in.Bad(); i++ {
		var key, value string
		c.text(&key)
		c.text(&value)
		if i > 0 && key <= last {
			c.in.Fail()
		}
		(*v)[key], last = value, key
	}
}
