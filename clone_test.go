package ota

import (
	"reflect"
	"testing"
	"time"
)

// TestCloneSharesNothing fills every field there is, so that a field added later cannot be forgotten.
func TestCloneSharesNothing(t *testing.T) {
	t.Run("PlanRow", func(t *testing.T) { testClone(t, PlanRow.clone) })
	t.Run("Control", func(t *testing.T) { testClone(t, Control.clone) })
	t.Run("Progress", func(t *testing.T) {
		testClone(t, func(p Progress) Progress {
			var c Progress
			c.copyFrom(&p)
			return c
		})
	})
	t.Run("AgentState through MemStore", func(t *testing.T) {
		testClone(t, func(s AgentState) (c AgentState) {
			var kept memChunk
			kept.addState(&AgentState{})
			kept.addState(&s)
			kept.copyState(&c, 1)
			return c
		})
	})
	t.Run("BatchRow needs no clone", func(t *testing.T) { testClone(t, func(b BatchRow) BatchRow { return b }) })
}

func TestMemStoreKeepsNothingOfEmptySlices(t *testing.T) {
	backing := []TaskState{{Number: 7}}
	var kept memChunk
	kept.addState(&AgentState{Rest: backing})
	kept.setState(0, &AgentState{Rest: backing[:0]})
	kept.setState(0, &AgentState{Rest: []TaskState{{Number: 8}}})
	if backing[0].Number != 7 {
		t.Error("a further task was written into a slice that somebody else owns")
	}
}

func testClone[T any](t *testing.T, clone func(T) T) {
	t.Helper()
	var v T
	fill(reflect.ValueOf(&v).Elem())
	c := clone(v)
	if !reflect.DeepEqual(c, v) {
		t.Errorf("got  %+v\nwant %+v", c, v)
	}
	shared(t, reflect.TypeOf(v).Name(), reflect.ValueOf(v), reflect.ValueOf(c))
}

// fill gives every field of v a value, with something behind every pointer, map and slice.
func fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(1, 0)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key"), reflect.ValueOf("value"))
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	default:
		v.SetUint(1)
	}
}

// shared reports what a and b have in common, besides what is never changed in place.
func shared(t *testing.T, at string, a, b reflect.Value) {
	t.Helper()
	switch a.Type() {
	case reflect.TypeFor[time.Time](), reflect.TypeFor[*TaskMore](), reflect.TypeFor[*AgentMore]():
		return
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if a.Pointer() == b.Pointer() {
			t.Errorf("%s is shared", at)
			return
		}
	}
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			shared(t, at+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
		}
	case reflect.Pointer:
		shared(t, at, a.Elem(), b.Elem())
	case reflect.Slice:
		shared(t, at+"[0]", a.Index(0), b.Index(0))
	}
}
