package strictjson

import (
	"errors"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// String reads a string.
func (r *Reader) String() (string, error) {
	b, err := r.Bytes()
	return string(b), err
}

// Bytes is String without a copy: the bytes are good until the next call.
func (r *Reader) Bytes() ([]byte, error) {
	if err := r.want('"'); err != nil {
		return nil, err
	}
	return r.rest()
}

// rest reads a string after its opening quote.
func (r *Reader) rest() ([]byte, error) {
	r.text = r.text[:0]
	ascii := true
	for {
		run := plain(r.buf[r.pos:r.end], r.limits.String+1-len(r.text))
		r.text = append(r.text, run...)
		r.pos += len(run)
		if len(r.text) > r.limits.String {
			return nil, r.Fail(TooLong, fmt.Sprintf("is longer than %d bytes", r.limits.String))
		}
		c, err := r.byte()
		if err != nil {
			return nil, r.cut(err)
		}
		switch {
		case c == '"':
			if !ascii {
				return r.text, r.checkText()
			}
			return r.text, nil
		case c == '\\':
			ascii = false
			if err := r.escape(); err != nil {
				return nil, err
			}
		case c < 0x20:
			return nil, r.Fail(Syntax, fmt.Sprintf("has the raw control character %U", c))
		default:
			if c >= 0x7f {
				ascii = false
			}
			r.text = append(r.text, c)
		}
	}
}

// plain returns the ASCII that b begins with, up to what is not itself in a string, and at most so
// many bytes. Strings are mostly this, and taking it byte by byte was a third of what reading a
// large array of strings took.
func plain(b []byte, most int) []byte {
	for i, c := range b {
		if i >= most || c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return b[:i]
		}
	}
	return b
}

func (r *Reader) checkText() error {
	if !utf8.Valid(r.text) {
		return r.Fail(Syntax, "is not valid UTF-8")
	}
	for _, c := range string(r.text) {
		if c == 0 || unicode.IsControl(c) && !r.limits.Control {
			return r.Fail(Control, fmt.Sprintf("has the control character %U", c))
		}
	}
	return nil
}

func (r *Reader) escape() error {
	c, err := r.byte()
	if err != nil {
		return r.cut(err)
	}
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return r.unicode()
	default:
		return r.Fail(Syntax, fmt.Sprintf("has the unknown escape \\%c", c))
	}
	r.text = append(r.text, c)
	return nil
}

// unicode reads what follows \u, and the second half of a surrogate pair.
func (r *Reader) unicode() error {
	first, err := r.hex()
	if err != nil {
		return err
	}
	if utf16.IsSurrogate(first) {
		for _, want := range []byte(`\u`) {
			c, err := r.byte()
			if err != nil {
				return r.cut(err)
			}
			if c != want {
				return r.Fail(Syntax, "has half a surrogate pair")
			}
		}
		second, err := r.hex()
		if err != nil {
			return err
		}
		if first = utf16.DecodeRune(first, second); first == utf8.RuneError {
			return r.Fail(Syntax, "has half a surrogate pair")
		}
	}
	r.text = utf8.AppendRune(r.text, first)
	return nil
}

func (r *Reader) hex() (rune, error) {
	var v rune
	for range 4 {
		c, err := r.byte()
		if err != nil {
			return 0, r.cut(err)
		}
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			v = v<<4 | rune(c-'A'+10)
		default:
			return 0, r.Fail(Syntax, "has a \\u without four hex digits")
		}
	}
	return v, nil
}

// maxNumber is the longest number literal; no useful one is longer.
const maxNumber = 64

// Number reads a number and returns its literal, which follows JSON's grammar.
func (r *Reader) Number() (string, error) {
	if have, err := r.Next(); err != nil {
		return "", err
	} else if have != '0' {
		return "", r.Fail(Type, fmt.Sprintf("is %s, not a number", names[have]))
	}
	r.text = r.text[:0]
	for {
		c, err := r.byte()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
		if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
			r.pos--
			break
		}
		if r.text = append(r.text, c); len(r.text) > maxNumber {
			return "", r.Fail(TooLong, fmt.Sprintf("is longer than %d digits", maxNumber))
		}
	}
	if !IsNumber(string(r.text)) {
		return "", r.Fail(Syntax, fmt.Sprintf("has the malformed number %s", r.text))
	}
	return string(r.text), nil
}

// IsNumber reports whether s is a number literal of JSON.
func IsNumber(s string) bool {
	digits := func() bool {
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		s = s[n:]
		return n > 0
	}
	if s != "" && s[0] == '-' {
		s = s[1:]
	}
	if s != "" && s[0] == '0' {
		s = s[1:]
	} else if !digits() {
		return false
	}
	if s != "" && s[0] == '.' {
		if s = s[1:]; !digits() {
			return false
		}
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		if !digits() {
			return false
		}
	}
	return s == ""
}

// Bool reads true or false.
func (r *Reader) Bool() (bool, error) {
	have, err := r.Next()
	switch {
	case err != nil:
		return false, err
	case have == 't':
		return true, r.word("true")
	case have == 'f':
		return false, r.word("false")
	default:
		return false, r.Fail(Type, fmt.Sprintf("is %s, not a boolean", names[have]))
	}
}

// Null reads null if that is next, and reports whether it was.
func (r *Reader) Null() (bool, error) {
	have, err := r.Next()
	if err != nil || have != 'n' {
		return false, err
	}
	return true, r.word("null")
}

func (r *Reader) word(w string) error {
	for i := range len(w) {
		c, err := r.byte()
		if err != nil {
			return r.cut(err)
		}
		if c != w[i] {
			return r.Fail(Syntax, "is no JSON value")
		}
	}
	return nil
}
