package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func read(r io.Reader, l Limits) (any, error) {
	x := NewReader(r, l)
	v, err := x.Any()
	if err != nil {
		return nil, err
	}
	return v, x.End()
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name, in string
		kind     Kind
		pointer  string
	}{
		{"empty", ``, Syntax, ""},
		{"blank", "  \n", Syntax, ""},
		{"trailing data", `{} {}`, Syntax, ""},
		{"trailing comma", `{"a":1,}`, Syntax, "/"},
		{"duplicate key", `{"a":{"b":1,"b":2}}`, Duplicate, "/a/b"},
		{"duplicate key, escaped", `{"a":1,"\u0061":2}`, Duplicate, "/a"},
		{"invalid UTF-8", "{\"a\":[\"x\",\"\xff\"]}", Syntax, "/a/1"},
		{"lone surrogate", `["\ud800"]`, Syntax, "/0"},
		{"lone surrogate and text", `["\ud800x"]`, Syntax, "/0"},
		{"two first halves", `["\ud800\ud800"]`, Syntax, "/0"},
		{"NUL", `{"a~/b":"\u0000"}`, Control, "/a~0~1b"},
		{"escaped newline", `["\n"]`, Control, "/0"},
		{"C1 control character", "[\"\u0085\"]", Control, "/0"},
		{"raw newline", "[\"\n\"]", Syntax, "/0"},
		{"too deep", strings.Repeat("[", 9), TooDeep, strings.Repeat("/0", 8)},
		{"too long", `["` + strings.Repeat("x", 65) + `"]`, TooLong, "/0"},
		{"much too long", `["` + strings.Repeat("x", 99) + `"]`, TooLong, "/0"},
		{"too long by an escape", `["` + strings.Repeat("x", 63) + `\ud83d\ude00xx"]`, TooLong, "/0"},
		{"too long and not ASCII", `["` + strings.Repeat("\u00fc", 33) + `"]`, TooLong, "/0"},
		{"DEL", "[\"ab\x7fc\"]", Control, "/0"},
		{"the last raw control character", "[\"abc\x1f\"]", Syntax, "/0"},
		{"raw newline after text", "[\"abc\n\"]", Syntax, "/0"},
		{"too many", `{"a":1,"b":1,"c":1,"d":1,"e":1}`, TooMany, "/e"},
		{"number too long", "[" + strings.Repeat("1", 65) + "]", TooLong, "/0"},
		{"leading zero", `[01]`, Syntax, "/0"},
		{"plus", `[+1]`, Syntax, "/0"},
		{"bare point", `[1.]`, Syntax, "/0"},
		{"NaN", `[NaN]`, Syntax, "/0"},
		{"truth", `[trua]`, Syntax, "/0"},
		{"cut", `{"a":"b`, Syntax, "/a"},
		{"cut after key", `{"a"`, Syntax, "/"},
		{"key is no string", `{1:2}`, Syntax, "/"},
		{"wrong bracket", `[1}`, Syntax, ""},
		{"unknown escape", `["\x"]`, Syntax, "/0"},
		{"byte order mark", "\ufeff{}", Syntax, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := read(strings.NewReader(c.in), Limits{Depth: 8, String: 64, Keys: 4})
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an Error", err)
			}
			if e.Kind != c.kind || e.Pointer != c.pointer {
				t.Errorf("got kind %d at %q (%v), want kind %d at %q", e.Kind, e.Pointer, e, c.kind, c.pointer)
			}
			if _, again := read(iotest.OneByteReader(strings.NewReader(c.in)), Limits{Depth: 8, String: 64, Keys: 4}); again == nil || again.Error() != e.Error() {
				t.Errorf("byte by byte: got %v, want %v", again, e)
			}
		})
	}
}

func TestTypes(t *testing.T) {
	for _, c := range []struct {
		in   string
		read func(*Reader) error
		want string
	}{
		{`1`, func(r *Reader) error { _, err := r.String(); return err }, "is a number, not a string"},
		{`"1"`, func(r *Reader) error { _, err := r.Number(); return err }, "is a string, not a number"},
		{`null`, func(r *Reader) error { _, err := r.Bool(); return err }, "is null, not a boolean"},
		{`[]`, func(r *Reader) error { return r.Object(nil) }, "is an array, not an object"},
		{`{}`, func(r *Reader) error { return r.Array(nil) }, "is an object, not an array"},
	} {
		var e *Error
		if err := c.read(NewReader(strings.NewReader(c.in), Limits{})); !errors.As(err, &e) || e.Kind != Type || e.Problem != c.want {
			t.Errorf("%s: got %v, want %q", c.in, err, c.want)
		}
	}
}

func TestReaderErrorsAreNotOurs(t *testing.T) {
	broken := errors.New("broken")
	_, err := read(io.MultiReader(strings.NewReader(`{"a":`), iotest.ErrReader(broken)), Limits{})
	var e *Error
	if !errors.Is(err, broken) || errors.As(err, &e) {
		t.Errorf("got %v, want the reader's own error", err)
	}
}

func TestManyElementsTakeNoMemory(t *testing.T) {
	in := []byte("[" + strings.Repeat(`"agent-000001",`, 100_000) + `"x"]`)
	n := testing.AllocsPerRun(1, func() {
		r := NewReader(bytes.NewReader(in), Limits{})
		if err := r.Array(func(int) error { _, err := r.Bytes(); return err }); err != nil {
			t.Fatal(err)
		}
	})
	if n > 20 {
		t.Errorf("%v allocations for 100,001 elements", n)
	}
}

// FuzzAny compares with encoding/json: what is accepted must mean the same there.
func FuzzAny(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e3,"x\u00e9\ud83d\ude00",true,false,null,{}]}`, `[]`, `"`, `{"a":1,"a":2}`, `01`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := read(iotest.OneByteReader(bytes.NewReader(in)), Limits{})
		again, err2 := read(bytes.NewReader(in), Limits{})
		if (err == nil) != (err2 == nil) || !reflect.DeepEqual(got, again) {
			t.Fatalf("the size of reads matters: %v, %v", err, err2)
		}
		if err != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(in))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil {
			t.Fatalf("accepted %q, encoding/json says %v", in, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %#v, encoding/json %#v", got, want)
		}
	})
}
