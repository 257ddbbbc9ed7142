package bytesio

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var numbers = []int64{0, 1, -1, 63, -64, 64, -65, 127, 128, 1 << 14, -1 << 40, math.MaxInt64, math.MinInt64}

var texts = []string{"", "a", "a text\x00", strings.Repeat("x", 200)}

// What is written is read again. Without its last byte it is damage.
func TestRoundTrip(t *testing.T) {
	type field struct {
		bytes []byte
		read  func(*Reader) any
		want  any
	}
	var fields []field
	for _, v := range numbers {
		fields = append(fields, field{AppendVarint(nil, v), func(r *Reader) any { return r.Varint() }, v},
			field{binary.AppendUvarint(nil, uint64(v)), func(r *Reader) any { return r.Uvarint(math.MaxUint64) }, uint64(v)},
			field{binary.LittleEndian.AppendUint64(nil, uint64(v)), func(r *Reader) any { return r.Fixed() }, uint64(v)})
		require.Equal(t, binary.AppendVarint(nil, v), AppendVarint(nil, v), "the form of encoding/binary")
	}
	for _, s := range texts {
		fields = append(fields, field{AppendText(nil, s), func(r *Reader) any { return r.Text() }, s})
	}
	fields = append(fields, field{[]byte{7}, func(r *Reader) any { return r.Byte() }, byte(7)},
		field{[]byte{8, 9}, func(r *Reader) any { a, b := r.Pair(); return []byte{a, b} }, []byte{8, 9}})
	var all []byte
	for _, f := range fields {
		r := NewReader(f.bytes)
		require.Equal(t, f.want, f.read(&r))
		require.False(t, r.Bad())
		require.Zero(t, r.Len())
		r = NewReader(f.bytes[:len(f.bytes)-1])
		f.read(&r)
		require.True(t, r.Bad(), "%x", f.bytes)
		all = append(all, f.bytes...)
	}
	r := NewReader(all)
	for _, f := range fields {
		require.Equal(t, f.want, f.read(&r))
	}
	require.False(t, r.Bad())
	require.Zero(t, r.Len())
}

// Short reads the numbers of one byte, and leaves the others to Varint.
func TestShort(t *testing.T) {
	for _, want := range numbers {
		b := AppendVarint(nil, want)
		r := NewReader(b)
		got, ok := r.Short()
		require.Equal(t, len(b) == 1, ok)
		if !ok {
			require.Equal(t, len(b), r.Len())
			got = r.Varint()
		}
		require.Equal(t, want, got)
	}
	var r Reader
	_, ok := r.Short()
	require.False(t, ok)
}

func TestDamage(t *testing.T) {
	for name, c := range map[string]struct {
		bytes []byte
		read  func(*Reader)
	}{
		"a varint with a zero at its end":           {[]byte{0x81, 0}, func(r *Reader) { r.Varint() }},
		"an unsigned varint with a zero at its end": {[]byte{0x81, 0}, func(r *Reader) { r.Uvarint(math.MaxUint64) }},
		"a varint of more than 64 bits":             {[]byte(strings.Repeat("\xff", 10) + "\x01"), func(r *Reader) { r.Varint() }},
		"more than is allowed":                      {[]byte{8}, func(r *Reader) { r.Uvarint(7) }},
		"a text longer than what remains":           {[]byte{4, 'a', 'b', 'c'}, func(r *Reader) { r.Text() }},
		"a text without its length":                 {nil, func(r *Reader) { r.Text() }},
		"a length beyond int":                       {AppendVarint(nil, 1), func(r *Reader) { r.Take(math.MaxUint64) }},
		"the caller's own check":                    {[]byte{1, 2, 3}, func(r *Reader) { r.Byte(); r.Fail() }},
	} {
		r := NewReader(c.bytes)
		c.read(&r)
		require.True(t, r.Bad(), name)
		require.Zero(t, r.Len(), name)
		require.Zero(t, r.Byte(), name)
		require.Zero(t, r.Varint(), name)
		require.Empty(t, r.Text(), name)
		require.Zero(t, r.Fixed(), name)
		a, b := r.Pair()
		require.Zero(t, a|b, name)
		require.True(t, r.Bad(), name)
	}
}

// A reader of any bytes ends, panics never, and what it has read writes as the same bytes.
func FuzzReader(f *testing.F) {
	f.Add([]byte("\x02\x04\x03abc\x80\x01"), "vvtu")
	f.Fuzz(func(t *testing.T, b []byte, kinds string) {
		r := NewReader(b)
		var again []byte
		for _, k := range []byte(kinds) {
			before := r.Len()
			out := again
			switch k {
			case 'v':
				out = AppendVarint(out, r.Varint())
			case 'u':
				out = binary.AppendUvarint(out, r.Uvarint(math.MaxUint64))
			case 't':
				out = AppendText(out, r.Text())
			case 'f':
				out = binary.LittleEndian.AppendUint64(out, r.Fixed())
			default:
				out = append(out, r.Byte())
			}
			if r.Bad() {
				require.Zero(t, r.Len())
				return
			}
			require.Less(t, r.Len(), before)
			again = out
			require.Equal(t, b[:len(b)-r.Len()], again)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	var bytes []byte
	for i := range 16 {
		bytes = AppendVarint(bytes, int64(i-8))
	}
	bytes = AppendVarint(bytes, 1<<40)
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(bytes)
		for r.Len() > 0 {
			if _, ok := r.Short(); !ok {
				r.Varint()
			}
		}
	}
}

func BenchmarkAppendVarint(b *testing.B) {
	room := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		out := room
		for i := range 17 {
			out = AppendVarint(out, int64(i-8))
		}
	}
}
