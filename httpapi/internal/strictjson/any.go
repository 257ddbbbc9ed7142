package strictjson

import "encoding/json"

// Skip reads a value of any type, strictly, and forgets it.
func (r *Reader) Skip() error {
	c, err := r.Next()
	if err != nil {
		return err
	}
	switch c {
	case '{':
		return r.Object(func(string) error { return r.Skip() })
	case '[':
		return r.Array(func(int) error { return r.Skip() })
	case '"':
		_, err = r.Bytes()
	case '0':
		_, err = r.Number()
	case 'n':
		_, err = r.Null()
	default:
		_, err = r.Bool()
	}
	return err
}

// Any reads a value of any type: map[string]any, []any, string, json.Number, bool or nil. It holds
// all of it, so the source should be bounded: small values take up to some fifty times their
// length.
func (r *Reader) Any() (any, error) {
	c, err := r.Next()
	if err != nil {
		return nil, err
	}
	switch c {
	case '{':
		m := map[string]any{}
		err := r.Object(func(key string) error {
			v, err := r.Any()
			m[key] = v
			return err
		})
		return m, err
	case '[':
		list := []any{}
		err := r.Array(func(int) error {
			v, err := r.Any()
			list = append(list, v)
			return err
		})
		return list, err
	case '"':
		return r.String()
	case '0':
		n, err := r.Number()
		return json.Number(n), err
	case 'n':
		_, err := r.Null()
		return nil, err
	default:
		return r.Bool()
	}
}
