package strictjson

import (
	"errors"
	"fmt"
	"io"
)

// Reader reads one JSON document. After an error it must not be used any more.
type Reader struct {
	src    io.Reader
	limits Limits
	buf    []byte
	pos    int
	end    int
	read   int64 // bytes before buf[0]
	path   []step
	text   []byte // scratch for strings
}

// NewReader returns a Reader of src.
func NewReader(src io.Reader, limits Limits) *Reader {
	return &Reader{src: src, limits: limits.withDefaults(), buf: make([]byte, 16<<10)}
}

func (r *Reader) offset() int64 { return r.read + int64(r.pos) }

// fill reads more; it returns io.EOF at the end and the reader's own error otherwise.
func (r *Reader) fill() error {
	r.read += int64(r.end)
	r.pos, r.end = 0, 0
	for range 100 {
		n, err := r.src.Read(r.buf)
		r.end = n
		if n > 0 {
			return nil // an error with data comes again
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// byte returns the next byte, and consumes it.
func (r *Reader) byte() (byte, error) {
	if r.pos == r.end {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	c := r.buf[r.pos]
	r.pos++
	return c, nil
}

// peek returns the next byte that is not white space, without consuming it.
func (r *Reader) peek() (byte, error) {
	for {
		if r.pos == r.end {
			if err := r.fill(); err != nil {
				return 0, r.cut(err)
			}
		}
		switch c := r.buf[r.pos]; c {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return c, nil
		}
	}
}

// cut makes an end in the middle a mistake of the input.
func (r *Reader) cut(err error) error {
	if errors.Is(err, io.EOF) {
		if r.offset() == 0 {
			return r.Fail(Syntax, "is empty")
		}
		return r.Fail(Syntax, "ends too early")
	}
	return err
}

// End reports anything but white space after the document.
func (r *Reader) End() error {
	for {
		c, err := r.byte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch c {
		case ' ', '\t', '\n', '\r':
		default:
			return r.Fail(Syntax, "is followed by more data")
		}
	}
}

// Next says what the next value is: '{', '[', '"', 't', 'f', 'n', or '0' for a number.
func (r *Reader) Next() (byte, error) {
	c, err := r.peek()
	if err != nil {
		return 0, err
	}
	switch {
	case c == '{', c == '[', c == '"', c == 't', c == 'f', c == 'n':
		return c, nil
	case c == '-', c >= '0' && c <= '9':
		return '0', nil
	default:
		return 0, r.Fail(Syntax, fmt.Sprintf("has an unexpected %q", c))
	}
}

var names = map[byte]string{
	'{': "an object", '[': "an array", '"': "a string", 't': "a boolean", 'f': "a boolean", 'n': "null", '0': "a number",
}

// want consumes the first byte of a value of the given type.
func (r *Reader) want(open byte) error {
	have, err := r.Next()
	if err != nil {
		return err
	}
	if have != open {
		return r.Fail(Type, fmt.Sprintf("is %s, not %s", names[have], names[open]))
	}
	r.pos++
	return nil
}

// Object reads an object and calls member for each of its keys; member must consume the value, and
// may keep the key.
func (r *Reader) Object(member func(key string) error) error {
	if err := r.enter('{'); err != nil {
		return err
	}
	seen := make(map[string]struct{}, 8)
	return r.members('}', func(int) error {
		key, err := r.key()
		if err != nil {
			return err
		}
		r.path[len(r.path)-1].key = key
		if _, twice := seen[key]; twice {
			return r.Fail(Duplicate, "is there twice")
		}
		if len(seen) == r.limits.Keys {
			return r.Fail(TooMany, fmt.Sprintf("is one member too many, %d are allowed", r.limits.Keys))
		}
		seen[key] = struct{}{}
		return member(key)
	})
}

// Array reads an array and calls element for each element, which element must consume.
func (r *Reader) Array(element func(i int) error) error {
	if err := r.enter('['); err != nil {
		return err
	}
	return r.members(']', func(i int) error {
		s := &r.path[len(r.path)-1]
		s.array, s.index = true, i
		return element(i)
	})
}

func (r *Reader) enter(open byte) error {
	if err := r.want(open); err != nil {
		return err
	}
	if len(r.path) == r.limits.Depth {
		return r.Fail(TooDeep, fmt.Sprintf("is nested deeper than %d", r.limits.Depth))
	}
	return nil
}

// members reads what is between the brackets, and the closing one.
func (r *Reader) members(closing byte, member func(i int) error) error {
	c, err := r.peek()
	if err != nil {
		return err
	}
	if c == closing {
		r.pos++
		return nil
	}
	for i := 0; ; i++ {
		r.path = append(r.path, step{})
		if err := member(i); err != nil {
			return err
		}
		r.path = r.path[:len(r.path)-1]
		c, err := r.peek()
		if err != nil {
			return err
		}
		if c != ',' && c != closing {
			return r.Fail(Syntax, fmt.Sprintf("has an unexpected %q", c))
		}
		r.pos++
		if c == closing {
			return nil
		}
	}
}

func (r *Reader) key() (string, error) {
	c, err := r.peek()
	if err != nil {
		return "", err
	}
	if c != '"' {
		return "", r.Fail(Syntax, fmt.Sprintf("has %q where a key should be", c))
	}
	r.pos++
	key, err := r.rest()
	if err != nil {
		return "", err
	}
	if c, err = r.peek(); err != nil {
		return "", err
	}
	if c != ':' {
		return "", r.Fail(Syntax, fmt.Sprintf("has %q where a colon should be", c))
	}
	r.pos++
	return string(key), nil
}

// Empty reports whether there is nothing but white space.
func (r *Reader) Empty() (bool, error) {
	for {
		c, err := r.byte()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		switch c {
		case ' ', '\t', '\n', '\r':
		default:
			r.pos--
			return false, nil
		}
	}
}
