package ota

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// codedPart is a value with a codec.
type codedPart interface {
	appendPart(b []byte) []byte
	decodePart(b []byte) error
}

// codedParts makes a zero value of each kind of part.
var codedParts = map[byte]func() codedPart{
	partSpec:     func() codedPart { return new(specPart) },
	partControl:  func() codedPart { return new(planControl) },
	partProgress: func() codedPart { return new(planProgress) },
	partBatch:    func() codedPart { return new(batchRow) },
	partAgent:    func() codedPart { return new(agentSpec) },
}

func eachPart(t *testing.T, test func(t *testing.T, kind byte, zero func() codedPart)) {
	t.Helper()
	for kind, name := range partNames {
		t.Run(name, func(t *testing.T) { test(t, kind, codedParts[kind]) })
	}
}

// filled is a value in which chance decides which fields have a value. With all set, every field
// has one.
func filled(v codedPart, r *rand.Rand, all bool) codedPart {
	fillRandomly(reflect.ValueOf(v).Elem(), r, all)
	stored(v)
	return v
}

// stored makes v what is read back: with the schema that it is stored with, and without what stands
// beside it.
func stored(v codedPart) {
	switch v := v.(type) {
	case *specPart:
		v.Schema = 1
	case *planControl:
		v.Schema = 1
	case *planProgress:
		v.Schema = 1
	case *agentSpec:
		v.ID, v.Labels = "", nil
	}
}

func fillRandomly(v reflect.Value, r *rand.Rand, all bool) {
	some := func(most int) int { // how many items
		if all {
			return most
		}
		return r.IntN(most + 1)
	}
	text := func() string { return strings.Repeat("ü", some(1)) + fmt.Sprint(1+r.IntN(9)) }
	if v.Kind() != reflect.Struct && some(1) == 0 {
		return
	}
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(r.Int64N(4e9)-2e9, r.Int64N(1e9)).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range v.Fields() {
			fillRandomly(f, r, all)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillRandomly(v.Elem(), r, all)
	case reflect.Slice:
		if n := some(3); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range v.Len() {
			fillRandomly(v.Index(i), r, all)
		}
	case reflect.Map:
		if n := some(3); n > 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				value := reflect.New(v.Type().Elem()).Elem()
				fillRandomly(value, r, true)
				v.SetMapIndex(reflect.ValueOf(text()), value)
			}
		}
	case reflect.String:
		v.SetString(text())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(r.Float64())
	case reflect.Int: // every int of a part fits 32 bits: a plan has at most 1<<30 agents
		v.SetInt(int64(int32(1+r.Uint32()) >> r.IntN(31)))
		if v.Int() == 0 {
			v.SetInt(-1)
		}
	case reflect.Int64:
		v.SetInt(int64(1+r.Uint64()) >> r.IntN(63))
		if v.Int() == 0 {
			v.SetInt(-1)
		}
	default:
		v.SetUint(1 + r.Uint64()>>r.IntN(63))
		if v.Uint() == 0 {
			v.SetUint(1)
		}
	}
}

// differs is the path to the first field in which two values differ; empty when they are equal.
func differs(a, b reflect.Value) string {
	if reflect.DeepEqual(a.Interface(), b.Interface()) {
		return ""
	}
	switch {
	case a.Kind() == reflect.Pointer && !a.IsNil() && !b.IsNil():
		return differs(a.Elem(), b.Elem())
	case a.Kind() == reflect.Slice && a.Len() == b.Len():
		for i := range a.Len() {
			if at := differs(a.Index(i), b.Index(i)); at != "" {
				return fmt.Sprintf("[%d]%s", i, at)
			}
		}
	case a.Kind() == reflect.Struct && a.Type() != reflect.TypeFor[time.Time]():
		for i := range a.NumField() {
			if at := differs(a.Field(i), b.Field(i)); at != "" {
				return "." + a.Type().Field(i).Name + at
			}
		}
	}
	return fmt.Sprintf(": got %v, want %v", a, b)
}

func reframed(kind, schema byte, fields []byte) []byte {
	b := append([]byte{schema, kind}, fields...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func TestPartsRoundTrip(t *testing.T) {
	eachPart(t, func(t *testing.T, kind byte, zero func() codedPart) {
		r := rand.New(rand.NewPCG(1, uint64(kind)))
		for i := range 300 {
			v := filled(zero(), r, i < 20)
			b := v.appendPart([]byte("front"))
			if string(b[:5]) != "front" || len(b) > 5 && (b[5] != 1 || b[6] != kind) {
				t.Fatalf("the part begins with %q", b[:7])
			}
			back := zero()
			if err := back.decodePart(b[5:]); err != nil {
				t.Fatalf("%+v: %v", v, err)
			}
			if at := differs(reflect.ValueOf(back), reflect.ValueOf(v)); at != "" {
				t.Fatalf("%s%s: is the field missing in its type's list?", partNames[kind], at)
			}
			if again := back.appendPart(nil); !bytes.Equal(again, b[5:]) {
				t.Fatalf("encoded again as\n%x, before\n%x", again, b[5:])
			}
		}
	})
}

// The test above is worth something only when a filled value has no zero field.
func TestFilledPartsHaveNoZeroField(t *testing.T) {
	var check func(t *testing.T, at string, v reflect.Value)
	check = func(t *testing.T, at string, v reflect.Value) {
		if v.IsZero() {
			t.Errorf("%s is zero", at)
		}
		switch {
		case v.Type() == reflect.TypeFor[time.Time]():
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				check(t, at+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case v.Kind() == reflect.Pointer:
			check(t, at, v.Elem())
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				check(t, at+"[]", v.Index(i))
			}
		}
	}
	eachPart(t, func(t *testing.T, kind byte, zero func() codedPart) {
		v := zero()
		fillRandomly(reflect.ValueOf(v).Elem(), rand.New(rand.NewPCG(2, uint64(kind))), true)
		check(t, partNames[kind], reflect.ValueOf(v).Elem())
	})
}

// What is not exactly a part is refused, with the part's name, and changes nothing.
func TestPartsRefuseDamage(t *testing.T) {
	eachPart(t, func(t *testing.T, kind byte, zero func() codedPart) {
		b := filled(zero(), rand.New(rand.NewPCG(3, uint64(kind))), true).appendPart(nil)
		fields := b[2 : len(b)-4]
		refuse := func(what string, b []byte, want error) {
			t.Helper()
			v := filled(zero(), rand.New(rand.NewPCG(4, 4)), true)
			before := fmt.Sprintf("%+v", v)
			err := v.decodePart(b)
			if !errors.Is(err, want) || !strings.HasPrefix(err.Error(), "the "+partNames[kind]+" ") {
				t.Errorf("%s: got error %v, want %v with the part's name", what, err, want)
			}
			if after := fmt.Sprintf("%+v", v); after != before {
				t.Errorf("%s: the value changed from %s to %s", what, before, after)
			}
		}
		for n := range b {
			if n > 0 || kind != partAgent { // an agent with nothing of its own has no bytes
				refuse(fmt.Sprintf("the first %d bytes", n), b[:n], errDamaged)
			}
			for bit := range 8 {
				wrong := bytes.Clone(b)
				wrong[n] ^= 1 << bit
				refuse(fmt.Sprintf("bit %d of byte %d flipped", bit, n), wrong, errDamaged)
			}
		}
		for n := range fields {
			refuse(fmt.Sprintf("%d bytes of fields", n), reframed(kind, 1, fields[:n]), errDamaged)
		}
		refuse("a byte too many", append(bytes.Clone(b), 0), errDamaged)
		refuse("a field too many", reframed(kind, 1, append(bytes.Clone(fields), 0)), errDamaged)
		refuse("schema 0", reframed(kind, 0, fields), errDamaged)
		refuse("a newer schema", reframed(kind, Schema+1, []byte("what nobody knows")), errSchema)
		for other := range partNames {
			if other != kind {
				refuse("another kind of part", reframed(other, 1, fields), errDamaged)
			}
		}
	})
}

// A count or a length that is far too large costs nothing, wherever it stands.
func TestPartsBoundHostileCounts(t *testing.T) {
	for _, count := range []int64{math.MaxInt64, 1 << 20} {
		hostile := binary.AppendVarint(nil, count)
		eachPart(t, func(t *testing.T, kind byte, zero func() codedPart) {
			b := filled(zero(), rand.New(rand.NewPCG(5, uint64(kind))), true).appendPart(nil)
			fields := b[2 : len(b)-4]
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for n := range fields {
				wrong := reframed(kind, 1, append(append(bytes.Clone(fields[:n]), hostile...), fields[n+1:]...))
				_ = zero().decodePart(wrong)
			}
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > uint64(len(fields))*256<<10 {
				t.Errorf("%d parts with the count %d allocated %d bytes", len(fields), count, got)
			}
		})
	}
}

func TestPartsEncodeWithoutAllocation(t *testing.T) {
	eachPart(t, func(t *testing.T, kind byte, zero func() codedPart) {
		v := filled(zero(), rand.New(rand.NewPCG(6, uint64(kind))), true)
		b := v.appendPart(nil)
		if n := testing.AllocsPerRun(100, func() { b = v.appendPart(b[:0]) }); n != 0 {
			t.Errorf("encoding into a buffer with room allocates %v times", n)
		}
	})
}

// With -race: two goroutines may encode one value at once. A codec that writes its fields back
// would be found.
func TestPartsEncodeConcurrently(t *testing.T) {
	eachPart(t, func(t *testing.T, kind byte, zero func() codedPart) {
		v := filled(zero(), rand.New(rand.NewPCG(7, uint64(kind))), true)
		want := v.appendPart(nil)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if got := v.appendPart(nil); !bytes.Equal(got, want) {
					t.Errorf("got %x, want %x", got, want)
				}
			})
		}
		group.Wait()
	})
}

var writeParts = flag.Bool("parts", false, "write the files of testdata/parts that are missing")

// goldenParts are the values whose bytes are in testdata/parts/1. A file is never changed once it
// is released: a plan that was stored then has to be read for ever. What a new field needs is a new
// case, in the folder of its schema.
func goldenParts() map[string][]byte {
	all := map[string][]byte{}
	p, r, k := busyProgress(), busyBatch(), busyControl()
	all["progress-busy"], all["batch-busy"], all["control-busy"] = p.appendPart(nil), r.appendPart(nil), k.appendPart(nil)
	for kind, zero := range codedParts {
		all[partNames[kind]+"-full"] = filled(zero(), rand.New(rand.NewPCG(9, uint64(kind))), true).appendPart(nil)
		if kind != partAgent {
			all[partNames[kind]+"-zero"] = zero().appendPart(nil)
		}
	}
	for _, c := range codecCases {
		all["state-"+strings.ReplaceAll(strings.ReplaceAll(c.name, ",", ""), " ", "-")], _ = c.state.AppendBinary(nil)
	}
	return all
}

// The bytes of every released schema are read as what they were written from, and written as they
// are.
func TestGoldenParts(t *testing.T) {
	if *writeParts {
		writeGoldenParts(t)
	}
	files, err := filepath.Glob("testdata/parts/*/*.hex")
	if err != nil || len(files) < len(goldenParts()) {
		t.Fatalf("%d files, want at least %d (%v)", len(files), len(goldenParts()), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".hex"), func(t *testing.T) {
			part, err := hex.DecodeString(strings.Join(strings.Fields(readDoc(t, file)), ""))
			if err != nil {
				t.Fatal(err)
			}
			said, err := Describe(part)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.TrimSpace(readDoc(t, strings.TrimSuffix(file, "hex")+"json")); string(said) != want {
				t.Errorf("read as\n%s\nwant\n%s", said, want)
			}
			if got := encodedAgain(t, part); !bytes.Equal(got, part) {
				t.Errorf("written as\n%x\nwant\n%x", got, part)
			}
			if schema := filepath.Base(filepath.Dir(file)); schema != fmt.Sprint(part[0]) {
				t.Errorf("the file of schema %s has schema %d", schema, part[0])
			}
		})
	}
}

func encodedAgain(t *testing.T, part []byte) []byte {
	t.Helper()
	if zero := codedParts[part[1]]; zero != nil {
		v := zero()
		if err := v.decodePart(part); err != nil {
			t.Fatal(err)
		}
		return v.appendPart(nil)
	}
	var s agentState
	if err := s.UnmarshalBinary(part); err != nil {
		t.Fatal(err)
	}
	b, err := s.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeGoldenParts(t *testing.T) {
	t.Helper()
	for name, part := range goldenParts() {
		file := fmt.Sprintf("testdata/parts/%d/%s.", part[0], name)
		if _, err := os.Stat(file + "hex"); err == nil {
			continue
		}
		said, err := Describe(part)
		if err != nil {
			t.Fatal(err)
		}
		for ext, text := range map[string]string{"hex": hex.EncodeToString(part), "json": string(said)} {
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file+ext, []byte(text+"\n"), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// No flag makes a state look like another part: describe tells them apart by their second byte.
func TestFlagsOfAStateAreNoPart(t *testing.T) {
	const flags = agentDown | agentStraggler
	for f := flags; ; f = (f - 1) & flags {
		for status := TaskPending; status <= TaskUnknown; status++ {
			b, err := (&agentState{Status: status, Flags: f}).AppendBinary(nil)
			if err != nil || partNames[b[1]] != "" {
				t.Errorf("flags %b, status %s: %v, looks like a %s", f, status, err, partNames[b[1]])
			}
		}
		if f == 0 {
			return
		}
	}
}
