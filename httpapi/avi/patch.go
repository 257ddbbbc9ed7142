package avi

import (
	"github.com/seed-19b57ce3/ota/httpapi/internal/strictjson"
)

// patch is the body of a PATCH: what to add, to replace and to delete, by field, in this order.
type patch struct {
	add, replace map[string]any
	// remove holds, by field: of a list the entries to remove, of params and seg_params the members
	// to remove, and nil where all of the field is meant.
	remove map[string]any
}

// empty reports whether the patch asks for nothing.
func (p *patch) empty() bool { return len(p.add)+len(p.replace)+len(p.remove) == 0 }

// readPatch reads a body. Without an operator the fields are a replace.
func readPatch(r *strictjson.Reader) (*patch, error) {
	p := &patch{add: map[string]any{}, replace: map[string]any{}, remove: map[string]any{}}
	operators, bare, removed := false, false, false
	err := r.Object(func(key string) error {
		_, isField := document[key]
		operator := key == "add" || key == "replace" || key == "delete" || key == "remove"
		operators, bare = operators || operator, bare || isField
		switch {
		case operators && bare:
			return r.Fail(strictjson.Type, "mixes fields with add, replace, delete or remove")
		case key == "add":
			return readFields(r, p.add, readValue)
		case key == "replace":
			return readFields(r, p.replace, readValue)
		case key == "delete", key == "remove": // Ansible's word for the same
			if removed {
				return r.Fail(strictjson.Type, "is delete and remove at once")
			}
			removed = true
			return readFields(r, p.remove, readRemoval)
		case isField:
			v, err := readValue(r, key)
			p.replace[key] = v
			return err
		default:
			return r.Fail(strictjson.Type, "is none of add, replace, delete and remove, and no field of an UpgradeStatusInfo")
		}
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func readFields(r *strictjson.Reader, into map[string]any, read func(*strictjson.Reader, string) (any, error)) error {
	return r.Object(func(key string) error {
		if _, ok := document[key]; !ok {
			return r.Fail(strictjson.Type, "is no field of an UpgradeStatusInfo")
		}
		v, err := read(r, key)
		into[key] = v
		return err
	})
}

func readValue(r *strictjson.Reader, key string) (any, error) { return document[key].read(r) }

// readRemoval reads what a delete says about a field. The value of anything but a list and the
// params is not looked at.
func readRemoval(r *strictjson.Reader, key string) (any, error) {
	f := document[key]
	if f.told {
		return nil, r.Fail(strictjson.Type, "cannot be deleted: the engine tells it")
	}
	next, err := r.Next()
	switch {
	case err != nil:
		return nil, err
	case next == 'n', f.kind != list && f.shape != params:
		return nil, r.Skip()
	case f.kind == list:
		return readEntries(r, f)
	case next != '{':
		return nil, r.Fail(strictjson.Type, "is no object")
	}
	var members []string
	err = r.Object(func(key string) error {
		if _, ok := params.fields[key]; !ok {
			return r.Fail(strictjson.Type, "is no field of an UpgradeStatusInfo")
		}
		members = append(members, key)
		return r.Skip()
	})
	if len(members) == 0 {
		return nil, err
	}
	return members, err
}

func readEntries(r *strictjson.Reader, f field) (any, error) {
	v, err := f.read(r)
	if err != nil {
		return nil, err
	}
	entries, _ := v.([]any)
	for _, e := range entries {
		if m, ok := e.(map[string]any); ok && len(m) == 0 {
			return nil, r.Fail(strictjson.Type, "has an entry that names nothing")
		}
	}
	return entries, nil
}
