package avi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
	"github.com/seed-19b57ce3/ota/httpapi/internal/texts"
)

// shape is the type of a field of the document.
type shape struct {
	kind   kind
	words  []string          // of a text that is an enum
	most   int64             // of a number
	fields map[string]*shape // of an object
	item   *shape            // of a list
}

type kind uint8

const (
	text kind = iota
	flag
	number
	object
	list
)

// maxItems is how many entries a list may have.
const maxItems = 1000

// read reads a value of this shape: a string, bool, int64, map[string]any or []any.
func (s *shape) read(r *strictjson.Reader) (any, error) {
	switch s.kind {
	case flag:
		return r.Bool()
	case number:
		return s.number(r)
	case object:
		return s.object(r)
	case list:
		return s.list(r)
	default:
		v, err := r.String()
		if err == nil && s.words != nil && !slices.Contains(s.words, v) {
			err = r.Fail(strictjson.Type, fmt.Sprintf("is %q; allowed: %s", texts.Shorten(v), strings.Join(s.words, ", ")))
		}
		return v, err
	}
}

func (s *shape) number(r *strictjson.Reader) (any, error) {
	literal, err := r.Number()
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseInt(literal, 10, 64)
	if err != nil || n < 0 || n > s.most {
		return nil, r.Fail(strictjson.Type, fmt.Sprintf("is %s; allowed: whole numbers from 0 to %d", literal, s.most))
	}
	return n, nil
}

func (s *shape) object(r *strictjson.Reader) (any, error) {
	m := map[string]any{}
	err := r.Object(func(key string) error {
		f, ok := s.fields[key]
		if !ok {
			return r.Fail(strictjson.Type, "is no field of an UpgradeStatusInfo")
		}
		v, err := f.read(r)
		m[key] = v
		return err
	})
	return m, err
}

func (s *shape) list(r *strictjson.Reader) (any, error) {
	items := []any{}
	err := r.Array(func(i int) error {
		if i >= maxItems {
			return r.Fail(strictjson.TooMany, fmt.Sprintf("is one entry too many; allowed: %d", maxItems))
		}
		v, err := s.item.read(r)
		items = append(items, v)
		return err
	})
	return items, err
}

// same reports whether two values are the same as JSON, whatever Go types they are made of.
func same(a, b any) bool {
	x, errX := canonical(a)
	y, errY := canonical(b)
	return errX == nil && errY == nil && x == y
}

func canonical(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	var plain any
	if err := json.Unmarshal(b, &plain); err != nil {
		return "", err
	}
	b, err = json.Marshal(plain)
	return string(b), err
}
