// Package bytesio reads and writes the fields of the stored forms: varints, texts with their length
// in front, and eight bytes of fixed length.
//
// A number has one form only: a longer varint with zeros at its end is damage. So what was read and
// is written again has the same bytes.
package bytesio

import "encoding/binary"

// AppendText appends a text: its length as an unsigned varint, and its bytes.
func AppendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// AppendVarint appends a number in zigzag form: a small one takes one byte, also if it is negative.
func AppendVarint(b []byte, v int64) []byte {
	if x := uint64(v)<<1 ^ uint64(v>>63); x < 0x80 { // nearly all
		return append(b, byte(x))
	}
	return binary.AppendVarint(b, v)
}

// Reader reads from the front of bytes that may be damaged. After the first wrong field it is bad:
// it has no bytes and every method returns zero, so a caller needs to look at Bad only once, at the
// end. It never panics. The zero value has no bytes.
type Reader struct {
	rest []byte
	bad  bool
}

// NewReader returns a reader of b. What it returns does not refer to b.
func NewReader(b []byte) Reader { return Reader{rest: b} }

// Len returns the number of bytes that remain.
func (r *Reader) Len() int { return len(r.rest) }

// Bad reports whether a field was wrong.
func (r *Reader) Bad() bool { return r.bad }

// Fail makes the reader bad: the caller found a value that it does not allow.
func (r *Reader) Fail() { r.bad, r.rest = true, nil }

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if len(r.rest) == 0 {
		r.Fail()
		return 0
	}
	c := r.rest[0]
	r.rest = r.rest[1:]
	return c
}

// Pair reads two bytes.
func (r *Reader) Pair() (first, second byte) {
	if len(r.rest) < 2 {
		r.Fail()
		return 0, 0
	}
	first, second = r.rest[0], r.rest[1]
	r.rest = r.rest[2:]
	return first, second
}

// Uvarint reads an unsigned varint of at most so much.
func (r *Reader) Uvarint(most uint64) uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > most || n > 1 && r.rest[n-1] == 0 {
		r.Fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// Varint reads what AppendVarint wrote.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 || n > 1 && r.rest[n-1] == 0 {
		r.Fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// Short is Varint for a number of one byte. If ok is false it has read nothing, and Varint reads
// the number. The compiler inlines it, so it is faster where nearly all numbers are that small.
func (r *Reader) Short() (v int64, ok bool) {
	if len(r.rest) == 0 || r.rest[0] >= 0x80 {
		return 0, false
	}
	x := r.rest[0]
	r.rest = r.rest[1:]
	return int64(x>>1) ^ -int64(x&1), true
}

// Text reads what AppendText wrote.
func (r *Reader) Text() string {
	return r.Take(r.Uvarint(uint64(len(r.rest))))
}

// Take reads n bytes.
func (r *Reader) Take(n uint64) string {
	if n > uint64(len(r.rest)) {
		r.Fail()
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

// Fixed reads eight bytes, little endian.
func (r *Reader) Fixed() uint64 {
	if len(r.rest) < 8 {
		r.Fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(r.rest)
	r.rest = r.rest[8:]
	return v
}
